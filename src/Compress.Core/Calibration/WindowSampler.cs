using System.Globalization;
using System.Text;
using Compress.Formats;

namespace Compress.Core.Calibration;

/// <summary>Where a window's text came from.</summary>
public enum WindowSampling
{
    /// <summary>Each window lies inside one document that was drawn at random.</summary>
    Documents,

    /// <summary>The data is one text; windows begin anywhere in it.</summary>
    Text,

    /// <summary>No document was long enough: all were joined by blank lines, and windows begin anywhere.</summary>
    Joined,
}

/// <summary>One calibration window.</summary>
/// <param name="Document">Index of its document in the data; 0 where the data is one text.</param>
/// <param name="Start">Position of its first token in the document.</param>
/// <param name="Tokens">Token ids, exactly as many as the window's length.</param>
public sealed record CalibrationWindow(int Document, int Start, int[] Tokens);

/// <summary>What the sampler drew.</summary>
/// <param name="Sampling">Where the windows' text came from.</param>
/// <param name="Documents">Documents in the data.</param>
/// <param name="Windows">The windows, in the order in which they go through the model.</param>
public sealed record WindowDraw(WindowSampling Sampling, int Documents, IReadOnlyList<CalibrationWindow> Windows);

/// <summary>
/// Draws calibration windows as the pruning and quantization papers do (SparseGPT's and Wanda's C4 loader, GPTQ's WikiText loader).
/// </summary>
/// <remarks>
/// Several documents: one is drawn uniformly, and redrawn until it has more than <c>length</c> tokens; the window's start is uniform
/// in <c>0 … tokens − length − 1</c>. One text, or only short documents (joined by blank lines): only the start is drawn. Documents may be
/// drawn twice, nothing is ever padded, and whatever special tokens the tokenizer adds to a document are part of it.
/// Documents with fewer UTF-8 bytes than <c>length</c> are passed over without being tokenised.
/// </remarks>
public sealed class WindowSampler(IEnumerable<string> documents, Func<string, int[]> encode, string file)
{
    private const ulong DocumentStream = 1;
    private const ulong FirstStartStream = 2;

    /// <summary>Draws windows.</summary>
    /// <param name="samples">Number of windows.</param>
    /// <param name="length">Tokens of a window.</param>
    /// <param name="seed">Same data, tokenizer, arguments and seed: same windows, on every machine.</param>
    /// <exception cref="ModelFileException">The data holds no text, or too little for one window.</exception>
    public WindowDraw Draw(int samples, int length, int seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(samples, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        var candidates = new List<int>();
        var count = 0;
        foreach (var document in documents)
        {
            if (Encoding.UTF8.GetByteCount(document) > length) candidates.Add(count);
            count++;
        }
        if (count == 0) throw new ModelFileException(file, "holds no text.", "Give a file with text as calibration.data.");
        var windows = count > 1 ? FromDocuments(candidates, samples, length, (ulong)seed) : null;
        if (windows is not null) return new WindowDraw(WindowSampling.Documents, count, windows);
        var sampling = count > 1 ? WindowSampling.Joined : WindowSampling.Text;
        return new WindowDraw(sampling, count, FromText(string.Join("\n\n", documents), samples, length, (ulong)seed));
    }

    /// <summary>
    /// Windows inside documents, or null where no document is long enough. Draws do not depend on which documents turn out too short, so
    /// they are made in growing batches, and each batch reads the data once: memory holds one document at a time and the windows.
    /// </summary>
    private List<CalibrationWindow>? FromDocuments(List<int> candidates, int samples, int length, ulong seed)
    {
        var random = new Pcg32(seed, DocumentStream);
        var tooShort = new HashSet<int>();
        var found = new SortedDictionary<int, CalibrationWindow>();
        var drawn = 0;
        for (var batch = samples; found.Count < samples && tooShort.Count < candidates.Count; batch *= 2)
        {
            var positions = new Dictionary<int, List<int>>();
            for (var end = drawn + batch; drawn < end; drawn++)
            {
                var document = candidates[random.Next(candidates.Count)];
                if (tooShort.Contains(document)) continue;
                if (!positions.TryGetValue(document, out var list)) positions.Add(document, list = []);
                list.Add(drawn);
            }
            foreach (var (index, text) in documents.Index())
            {
                if (!positions.TryGetValue(index, out var wanted)) continue;
                var tokens = encode(text);
                if (tokens.Length <= length) tooShort.Add(index);
                else foreach (var position in wanted) found.Add(position, Window(index, tokens, length, seed, position));
            }
        }
        return found.Count < samples ? null : [.. found.Values.Take(samples)];
    }

    private List<CalibrationWindow> FromText(string text, int samples, int length, ulong seed)
    {
        var tokens = encode(text);
        if (tokens.Length <= length)
        {
            throw new ModelFileException(
                file,
                string.Create(CultureInfo.InvariantCulture, $"has {tokens.Length} tokens; calibration windows of {length} need more than that."),
                "Give a longer text or a smaller calibration.length.");
        }
        return [.. Enumerable.Range(0, samples).Select(position => Window(0, tokens, length, seed, position))];
    }

    private static CalibrationWindow Window(int document, int[] tokens, int length, ulong seed, int position)
    {
        var start = new Pcg32(seed, FirstStartStream + (ulong)position).Next(tokens.Length - length);
        return new CalibrationWindow(document, start, tokens[start..(start + length)]);
    }
}
