using System.Globalization;

namespace Compress.Formats.Tokenizers.Patterns;

/// <summary>A set of Unicode code points as a pattern's character class means it: one range, or a rule whose answers are kept in pages.</summary>
/// <remarks>Pages are filled when they are first asked for, so that a pattern costs little until it runs; threads may fill one twice alike.</remarks>
sealed class CodePointSet
{
    const int PageSize = 256;
    readonly int low;
    readonly int high = -1;
    readonly Func<int, bool>? rule;
    readonly Lazy<ulong[]?[]>? pages;

    CodePointSet(int low, int high) => (this.low, this.high) = (low, high);

    CodePointSet(Func<int, bool> rule)
    {
        this.rule = rule;
        pages = new Lazy<ulong[]?[]>(() => new ulong[0x10000 / PageSize][]);
    }

    internal static CodePointSet Any { get; } = new(_ => true);

    internal static CodePointSet AnyButNewline { get; } = new(c => c != '\n');

    internal static CodePointSet WhiteSpace { get; } = new(IsWhiteSpace);

    internal static CodePointSet Word { get; } = new(IsWord);

    internal static CodePointSet Digit { get; } = OfCategories(CategoryMask("Nd")!.Value);

    internal bool Contains(int codePoint)
    {
        if (rule is null) return codePoint >= low && codePoint <= high;
        if (codePoint > 0xFFFF) return rule(codePoint);
        var page = pages!.Value[codePoint / PageSize] ?? Fill(codePoint / PageSize);
        return (page[codePoint % PageSize >> 6] & (1UL << (codePoint & 63))) != 0;
    }

    ulong[] Fill(int number)
    {
        var page = new ulong[PageSize / 64];
        for (var i = 0; i < PageSize; i++)
        {
            if (rule!(number * PageSize + i)) page[i >> 6] |= 1UL << (i & 63);
        }
        pages!.Value[number] = page;
        return page;
    }

    internal CodePointSet Negated() => new(c => !Contains(c));

    internal CodePointSet Within(CodePointSet other) => new(c => Contains(c) && other.Contains(c));

    internal static CodePointSet Range(int low, int high) => new(low, high);

    /// <summary>The union of many sets; single ranges are merged first, so that a class of hundreds of ranges stays cheap.</summary>
    internal static CodePointSet Union(IReadOnlyCollection<CodePointSet> sets)
    {
        if (sets.Count == 1) return sets.First();
        var ranges = new List<(int Low, int High)>();
        foreach (var (low, high) in sets.Where(s => s.rule is null).Select(s => (s.low, s.high)).Order())
        {
            if (ranges.Count > 0 && low <= ranges[^1].High + 1) ranges[^1] = (ranges[^1].Low, Math.Max(high, ranges[^1].High));
            else ranges.Add((low, high));
        }
        var others = sets.Where(s => s.rule is not null).ToArray();
        var starts = ranges.Select(r => r.Low).ToArray();
        return new CodePointSet(c =>
        {
            var index = Array.BinarySearch(starts, c);
            if (index < 0) index = ~index - 1;
            if (index >= 0 && c <= ranges[index].High) return true;
            foreach (var other in others)
            {
                if (other.Contains(c)) return true;
            }
            return false;
        });
    }

    internal static CodePointSet OfCategories(uint mask) =>
        new(c => (mask & (1u << (int)CharUnicodeInfo.GetUnicodeCategory(c))) != 0);

    /// <summary>The set with every simple case variant of its members below U+10000.</summary>
    internal CodePointSet IgnoringCase()
    {
        var folded = new HashSet<int>();
        var (first, last) = rule is null ? (low, Math.Min(high, 65535)) : (0, 65535);
        for (var c = first; c <= last; c++)
        {
            if (!Contains(c)) continue;
            foreach (var variant in CaseVariants(c)) folded.Add(variant);
        }
        folded.RemoveWhere(Contains);
        return folded.Count == 0 ? this : Union([this, .. folded.Select(c => Range(c, c))]);
    }

    internal static bool IsWhiteSpace(int c) => c < 65536 && char.IsWhiteSpace((char)c);

    /// <summary>Unicode's word characters: alphabetic, mark, decimal digit, connector punctuation (UTS 18, annex C, without join controls).</summary>
    internal static bool IsWord(int c)
    {
        const uint word = 1u << (int)UnicodeCategory.UppercaseLetter | 1u << (int)UnicodeCategory.LowercaseLetter
            | 1u << (int)UnicodeCategory.TitlecaseLetter | 1u << (int)UnicodeCategory.ModifierLetter | 1u << (int)UnicodeCategory.OtherLetter
            | 1u << (int)UnicodeCategory.LetterNumber | 1u << (int)UnicodeCategory.NonSpacingMark
            | 1u << (int)UnicodeCategory.SpacingCombiningMark | 1u << (int)UnicodeCategory.EnclosingMark
            | 1u << (int)UnicodeCategory.DecimalDigitNumber | 1u << (int)UnicodeCategory.ConnectorPunctuation;
        return (word & (1u << (int)CharUnicodeInfo.GetUnicodeCategory(c))) != 0
            || c is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189);
    }

    /// <summary>Word characters as Rust's regex crate has them: with the two join controls.</summary>
    internal static bool IsRustWord(int c) => c is 0x200C or 0x200D || IsWord(c);

    /// <summary>The bit mask of a general category name ("L", "Lu", "Letter"), or null where the name is unknown.</summary>
    internal static uint? CategoryMask(string name)
    {
        var key = name.Replace("_", "", StringComparison.Ordinal).ToUpperInvariant();
        string[] codes = ["LU", "LL", "LT", "LM", "LO", "MN", "MC", "ME", "ND", "NL", "NO", "ZS", "ZL", "ZP", "CC", "CF", "CS", "CO",
            "PC", "PD", "PS", "PE", "PI", "PF", "PO", "SM", "SC", "SK", "SO", "CN"];
        key = key switch
        {
            "LETTER" => "L",
            "MARK" => "M",
            "NUMBER" => "N",
            "PUNCTUATION" or "PUNCT" => "P",
            "SYMBOL" => "S",
            "SEPARATOR" => "Z",
            "OTHER" => "C",
            "UPPERCASELETTER" => "LU",
            "LOWERCASELETTER" => "LL",
            "DECIMALNUMBER" => "ND",
            _ => key,
        };
        var mask = 0u;
        for (var i = 0; i < codes.Length; i++)
        {
            if (codes[i] == key || (key.Length == 1 && codes[i][0] == key[0])) mask |= 1u << i;
        }
        return mask == 0 ? null : mask;
    }

    static IEnumerable<int> CaseVariants(int c)
    {
        var ch = (char)c;
        var upper = char.ToUpperInvariant(ch);
        yield return upper;
        yield return char.ToLowerInvariant(ch);
        // The invariant mappings leave these pairs out, Unicode's case folding has them.
        if (upper == 'S' || c == 0x17F)
        {
            yield return 's';
            yield return 'S';
            yield return 0x17F;
        }
        if (upper == 'K' || c == 0x212A)
        {
            yield return 'k';
            yield return 'K';
            yield return 0x212A;
        }
    }

    /// <summary>Reads the code point that begins at <paramref name="index"/>; a lone surrogate stands for itself.</summary>
    internal static int CodePointAt(ReadOnlySpan<char> text, int index, out int length)
    {
        var c = text[index];
        if (char.IsHighSurrogate(c) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]))
        {
            length = 2;
            return char.ConvertToUtf32(c, text[index + 1]);
        }
        length = 1;
        return c;
    }

    /// <summary>Reads the code point that ends just before <paramref name="index"/>.</summary>
    internal static int CodePointBefore(ReadOnlySpan<char> text, int index, out int length)
    {
        var c = text[index - 1];
        if (char.IsLowSurrogate(c) && index >= 2 && char.IsHighSurrogate(text[index - 2]))
        {
            length = 2;
            return char.ConvertToUtf32(text[index - 2], c);
        }
        length = 1;
        return c;
    }
}
