using System.Globalization;
using System.Text;

namespace Compress.Formats.Tokenizers.Normalization;

/// <summary>Unicode's four normalization forms (UAX 15).</summary>
/// <remarks>
/// <c>string.Normalize</c> changes nothing above ASCII where .NET runs in invariant globalization mode, as this project does so as
/// to need no ICU; tokenizers need the same answer everywhere. Data: UnicodeNormalization.txt, from the Unicode Character Database.
/// </remarks>
static class UnicodeNormalizer
{
    const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7;
    const int LeadCount = 19, VowelCount = 21, TailCount = 28, HangulCount = LeadCount * VowelCount * TailCount;
    const string Resource = "Compress.Formats.UnicodeNormalization.txt";
    static readonly Lazy<Tables> Data = new(Tables.Load);

    /// <summary>Decompositions fully expanded, combining classes and primary composites.</summary>
    sealed class Tables
    {
        internal readonly Dictionary<int, int[]> Canonical = [];
        internal readonly Dictionary<int, int[]> Compatibility = [];
        internal readonly Dictionary<int, byte> Combining = [];
        internal readonly Dictionary<(int, int), int> Composites = [];

        internal static Tables Load()
        {
            var tables = new Tables();
            using var stream = typeof(UnicodeNormalizer).Assembly.GetManifestResourceStream(Resource)!;
            using var reader = new StreamReader(stream, Encoding.ASCII);
            while (reader.ReadLine() is { } line)
            {
                if (!line.StartsWith('#')) tables.Add(line.Split(';'));
            }
            Expand(tables.Canonical);
            Expand(tables.Compatibility);
            return tables;
        }

        void Add(string[] fields)
        {
            var point = Hex(fields[0]);
            if (fields[1].Length > 0) Combining[point] = byte.Parse(fields[1], CultureInfo.InvariantCulture);
            if (fields[2].Length == 0) return;
            int[] mapping = [.. fields[3].Split(' ').Select(Hex)];
            Compatibility[point] = mapping;
            if (fields[2] == "~") return;
            Canonical[point] = mapping;
            if (fields[2] == "=") Composites[(mapping[0], mapping[1])] = point;
        }

        static void Expand(Dictionary<int, int[]> map)
        {
            foreach (var point in map.Keys.ToArray()) map[point] = [.. Full(point, map)];
        }

        static IEnumerable<int> Full(int point, Dictionary<int, int[]> map) =>
            map.TryGetValue(point, out var mapping) ? mapping.SelectMany(p => Full(p, map)) : [point];

        static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }

    /// <summary>Normalizes well-formed text.</summary>
    internal static string Normalize(string text, NormalizationForm form)
    {
        var compatibility = form is NormalizationForm.FormKC or NormalizationForm.FormKD;
        var composed = form is NormalizationForm.FormC or NormalizationForm.FormKC;
        // Below these, nothing decomposes and nothing combines.
        var safe = compatibility ? 0xA0 : composed ? 0x300 : 0xC0;
        if (!text.AsSpan().ContainsAnyExceptInRange('\0', (char)(safe - 1))) return text;
        var points = Decompose(text, compatibility ? Data.Value.Compatibility : Data.Value.Canonical);
        if (composed) Compose(points);
        var result = new StringBuilder(text.Length);
        foreach (var point in points) result.Append(new Rune(point).ToString());
        return result.ToString();
    }

    static List<int> Decompose(string text, Dictionary<int, int[]> map)
    {
        var points = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            var syllable = rune.Value - HangulBase;
            if (syllable is >= 0 and < HangulCount)
            {
                points.Add(LeadBase + syllable / (VowelCount * TailCount));
                points.Add(VowelBase + syllable / TailCount % VowelCount);
                if (syllable % TailCount != 0) points.Add(TailBase + syllable % TailCount);
            }
            else if (map.TryGetValue(rune.Value, out var mapping))
            {
                points.AddRange(mapping);
            }
            else
            {
                points.Add(rune.Value);
            }
        }
        Order(points);
        return points;
    }

    // Canonical ordering: runs of combining marks by class, stably.
    static void Order(List<int> points)
    {
        for (var i = 0; i < points.Count; i++)
        {
            if (ClassOf(points[i]) == 0) continue;
            var end = i + 1;
            while (end < points.Count && ClassOf(points[end]) != 0) end++;
            if (end - i > 1)
            {
                var ordered = points.GetRange(i, end - i).OrderBy(ClassOf).ToList();
                for (var k = 0; k < ordered.Count; k++) points[i + k] = ordered[k];
            }
            i = end;
        }
    }

    static byte ClassOf(int point) => point < 0x300 ? (byte)0 : Data.Value.Combining.GetValueOrDefault(point);

    static void Compose(List<int> points)
    {
        var starter = -1;
        var lastClass = -1;
        var count = 0;
        for (var i = 0; i < points.Count; i++)
        {
            var point = points[i];
            var combining = ClassOf(point);
            // A mark is blocked from its starter by an earlier one of the same or a higher class, a starter by anything between.
            var free = lastClass < combining || lastClass == -1;
            if (starter >= 0 && free && TryCompose(points[starter], point, out var composite))
            {
                points[starter] = composite;
                continue;
            }
            points[count] = point;
            if (combining == 0) (starter, lastClass) = (count, -1);
            else lastClass = combining;
            count++;
        }
        points.RemoveRange(count, points.Count - count);
    }

    static bool TryCompose(int first, int second, out int composite)
    {
        if (first is >= LeadBase and < LeadBase + LeadCount && second is >= VowelBase and < VowelBase + VowelCount)
        {
            composite = HangulBase + ((first - LeadBase) * VowelCount + (second - VowelBase)) * TailCount;
            return true;
        }
        var syllable = first - HangulBase;
        if (syllable is >= 0 and < HangulCount && syllable % TailCount == 0 && second is > TailBase and < TailBase + TailCount)
        {
            composite = first + (second - TailBase);
            return true;
        }
        return Data.Value.Composites.TryGetValue((first, second), out composite);
    }
}
