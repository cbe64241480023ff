namespace Compress.Formats.Tokenizers;

/// <summary>An immutable trie over UTF-16 units, laid out breadth first so that the children of a node lie together, in order.</summary>
sealed class CharTrie
{
    /// <summary>The node where every search begins.</summary>
    internal const int Root = 0;

    const int AsciiCount = 128;
    readonly char[] labels;
    readonly int[] firstChild;
    readonly int[] values;
    readonly int[] asciiChildren = new int[AsciiCount];

    /// <summary>Builds the trie; a key's value is its index, the first one of equal keys, and empty keys are left out.</summary>
    internal CharTrie(IReadOnlyList<string> keys)
    {
        var order = Enumerable.Range(0, keys.Count).Where(i => keys[i].Length > 0).ToArray();
        Array.Sort(order, (a, b) => string.CompareOrdinal(keys[a], keys[b]) is var c && c != 0 ? c : a.CompareTo(b));
        var label = new List<char> { '\0' };
        var first = new List<int>();
        var value = new List<int>();
        var ranges = new Queue<(int Low, int High, int Depth)>();
        ranges.Enqueue((0, order.Length, 0));
        while (ranges.TryDequeue(out var range))
        {
            var (low, high, depth) = range;
            value.Add(depth > 0 && low < high && keys[order[low]].Length == depth ? order[low] : -1);
            while (low < high && keys[order[low]].Length == depth) low++;
            first.Add(label.Count);
            while (low < high)
            {
                var c = keys[order[low]][depth];
                var end = low + 1;
                while (end < high && keys[order[end]][depth] == c) end++;
                label.Add(c);
                ranges.Enqueue((low, end, depth + 1));
                low = end;
            }
        }
        first.Add(label.Count);
        (labels, firstChild, values) = ([.. label], [.. first], [.. value]);
        for (var i = firstChild[Root]; i < firstChild[Root + 1]; i++)
        {
            if (labels[i] < AsciiCount) asciiChildren[labels[i]] = i;
        }
    }

    /// <summary>The node that a character leads to, or -1.</summary>
    internal int Next(int node, char c)
    {
        if (node == Root && c < AsciiCount) return asciiChildren[c] is var child && child > 0 ? child : -1;
        var (low, high) = (firstChild[node], firstChild[node + 1] - 1);
        while (low <= high)
        {
            var middle = (low + high) >> 1;
            if (labels[middle] == c) return middle;
            if (labels[middle] < c) low = middle + 1;
            else high = middle - 1;
        }
        return -1;
    }

    /// <summary>The index of the key that ends at a node, or -1.</summary>
    internal int ValueAt(int node) => values[node];
}
