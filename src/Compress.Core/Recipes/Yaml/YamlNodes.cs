namespace Compress.Core.Recipes.Yaml;

/// <summary>Where a piece of a recipe was written.</summary>
/// <param name="File">The file, or the <c>--set</c> argument.</param>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Column, from 1.</param>
public readonly record struct Mark(string File, int Line, int Column);

/// <summary>A part of a YAML text: a scalar, a list or a mapping. Immutable.</summary>
/// <param name="Mark">Where it begins.</param>
public abstract record YamlNode(Mark Mark)
{
    /// <summary>Nodes in this part, itself included; aliased parts count each time.</summary>
    internal abstract int Size { get; }
}

/// <summary>A single value.</summary>
/// <param name="Mark">Where it begins.</param>
/// <param name="Text">Its text without quotes.</param>
/// <param name="Quoted">True where it was written in quotes or as a block, so that it can only be a text.</param>
public sealed record YamlScalar(Mark Mark, string Text, bool Quoted) : YamlNode(Mark)
{
    /// <summary>True for <c>null</c>, <c>~</c> and nothing at all.</summary>
    public bool IsNull => !Quoted && Text is "" or "null" or "~";

    internal override int Size => 1;
}

/// <summary>A list.</summary>
/// <param name="Mark">Where it begins.</param>
/// <param name="Items">Its items.</param>
public sealed record YamlSequence(Mark Mark, IReadOnlyList<YamlNode> Items) : YamlNode(Mark)
{
    internal override int Size { get; } = 1 + Items.Sum(i => i.Size);
}

/// <summary>One key of a mapping with its value.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">The value.</param>
public readonly record struct YamlEntry(YamlScalar Key, YamlNode Value);

/// <summary>A mapping; no key occurs twice.</summary>
/// <param name="Mark">Where it begins.</param>
/// <param name="Entries">Keys and values in the order of the text.</param>
public sealed record YamlMapping(Mark Mark, IReadOnlyList<YamlEntry> Entries) : YamlNode(Mark)
{
    internal override int Size { get; } = 1 + Entries.Sum(e => 1 + e.Value.Size);

    /// <summary>The value of a key, or null where the key is absent.</summary>
    public YamlNode? this[string key] => Entries.FirstOrDefault(e => e.Key.Text == key).Value;
}
