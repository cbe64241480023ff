using System.Globalization;

namespace Compress.Core.Recipes.Yaml;

/// <summary>Applies <c>--set key=value</c> arguments to a YAML tree before it is bound.</summary>
/// <remarks>
/// A key is a dotted path with list indices (<c>stages.0.sparsity</c>); the one key of a list item such as <c>- prune: {…}</c> may be
/// left out. Missing mappings are made, a list may grow by one item at its end. The value is YAML (<c>[a, b]</c>, <c>0.5</c>).
/// </remarks>
public static class YamlOverride
{
    /// <summary>The tree with one override applied.</summary>
    /// <param name="root">The tree; unchanged.</param>
    /// <param name="argument">The argument, <c>key=value</c>.</param>
    /// <exception cref="RecipeException">The argument has no <c>=</c>, or its path does not fit the tree.</exception>
    public static YamlMapping Apply(YamlMapping root, string argument)
    {
        ArgumentNullException.ThrowIfNull(root);
        ArgumentNullException.ThrowIfNull(argument);
        var source = $"--set {argument}";
        var equals = argument.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0) throw Fail(source, "", "has no key=value.", "Write for example --set stages.0.sparsity=0.6.");
        var key = argument[..equals];
        var segments = key.Split('.');
        if (segments.Length > YamlReader.MaxDepth || segments.Any(s => s.Length == 0))
            throw Fail(source, key, "is not a dotted path.", "Write for example --set stages.0.sparsity=0.6.");
        var value = YamlReader.ReadArgument(source, argument[(equals + 1)..]);
        return (YamlMapping)Replace(root, segments, value, source);
    }

    private static YamlNode Replace(YamlNode? node, ReadOnlySpan<string> path, YamlNode value, string source)
    {
        if (path.IsEmpty) return value;
        return node switch
        {
            null or YamlScalar { IsNull: true } when path[0] == "0" =>
                ReplaceItem(new YamlSequence(new Mark(source, 0, 0), []), path, value, source),
            null or YamlScalar { IsNull: true } => ReplaceKey(new YamlMapping(new Mark(source, 0, 0), []), path, value, source),
            YamlMapping mapping => ReplaceKey(mapping, path, value, source),
            YamlSequence sequence => ReplaceItem(sequence, path, value, source),
            _ => throw Fail(source, path[0], $"cannot be set: what holds it is the single value '{((YamlScalar)node).Text}'.", null),
        };
    }

    private static YamlMapping ReplaceKey(YamlMapping mapping, ReadOnlySpan<string> path, YamlNode value, string source)
    {
        var changed = Replace(mapping[path[0]], path[1..], value, source);
        var entries = mapping.Entries.ToList();
        var at = IndexOf(entries, path[0]);
        if (at >= 0) entries[at] = entries[at] with { Value = changed };
        else entries.Add(new YamlEntry(new YamlScalar(new Mark(source, 0, 0), path[0], Quoted: false), changed));
        return new YamlMapping(mapping.Mark, entries);
    }

    private static YamlSequence ReplaceItem(YamlSequence sequence, ReadOnlySpan<string> path, YamlNode value, string source)
    {
        if (!int.TryParse(path[0], NumberStyles.None, CultureInfo.InvariantCulture, out var index) || index > sequence.Items.Count)
        {
            throw Fail(source, path[0], $"is not an index of this list of {sequence.Items.Count} items.",
                sequence.Items.Count > 0 ? $"Indices go from 0 to {sequence.Items.Count - 1}." : "Use 0 to add the first item.");
        }
        var items = sequence.Items.ToList();
        var rest = path[1..];
        var item = index < items.Count ? items[index] : null;
        // "- prune: {…}" is addressed as stages.0.sparsity as well as stages.0.prune.sparsity.
        var wrapped = !rest.IsEmpty && item is YamlMapping { Entries: [{ Value: YamlMapping }] } m && m[rest[0]] is null;
        var changed = wrapped ? ReplaceInside((YamlMapping)item!, rest, value, source) : Replace(item, rest, value, source);
        if (index < items.Count) items[index] = changed;
        else items.Add(changed);
        return new YamlSequence(sequence.Mark, items);
    }

    private static YamlMapping ReplaceInside(YamlMapping item, ReadOnlySpan<string> path, YamlNode value, string source)
    {
        var entry = item.Entries[0];
        return new YamlMapping(item.Mark, [entry with { Value = Replace(entry.Value, path, value, source) }]);
    }

    private static int IndexOf(List<YamlEntry> entries, string key) => entries.FindIndex(e => e.Key.Text == key);

    private static RecipeException Fail(string source, string key, string problem, string? suggestion) =>
        new(source, 0, 0, key, problem, suggestion);
}
