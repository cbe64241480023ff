using System.Text.Json;

namespace Compress.Formats.Architectures;

/// <summary>Sizes of one block; a null sublayer was removed.</summary>
/// <param name="Heads">Query heads, or null without attention.</param>
/// <param name="KeyValueHeads">Key/value heads, or null without attention.</param>
/// <param name="IntermediateSize">MLP channels, or null without MLP.</param>
/// <remarks>
/// The key <c>compress_block_shapes</c> of <c>config.json</c> lists them where blocks differ, one object a block:
/// <c>{"attention": {"heads": 6, "key_value_heads": 3}, "mlp": {"intermediate_size": 512}}</c>, with <c>null</c> in place of a removed
/// sublayer. Without the key every block has the sizes of the family's own keys.
/// </remarks>
public sealed record BlockShape(int? Heads, int? KeyValueHeads, int? IntermediateSize)
{
    /// <summary>The configuration key.</summary>
    public const string Key = "compress_block_shapes";

    /// <summary>The shapes of all blocks.</summary>
    /// <exception cref="ModelFileException">The list has another length than the model has blocks, or an entry is malformed.</exception>
    internal static BlockShape[] ReadAll(ConfigReader config, int blocks, int heads, int keyValueHeads, int intermediate)
    {
        var uniform = new BlockShape(heads, keyValueHeads, intermediate);
        uniform.Check(config, "num_attention_heads");
        if (config.List(Key) is not { } entries) return [.. Enumerable.Repeat(uniform, blocks)];
        if (entries.Count != blocks) throw config.Wrong(Key, FormattableString.Invariant($"has {entries.Count} entries for {blocks} blocks"));
        return [.. entries.Select((e, i) => Read(e, config, FormattableString.Invariant($"{Key}[{i}]")))];
    }

    private static BlockShape Read(JsonElement entry, ConfigReader config, string where)
    {
        var reader = new ConfigReader(entry, $"{config.File}: {where}");
        foreach (var part in (string[])["attention", "mlp"])
        {
            // A forgotten key must not read as a removed sublayer.
            if (!reader.Keys.Contains(part)) throw reader.Wrong(part, "is missing", "Write null for a removed sublayer.");
        }
        var attention = reader.Section("attention");
        var heads = attention?.Count("heads");
        var shape = new BlockShape(heads, attention?.Count("key_value_heads", heads), reader.Section("mlp")?.Count("intermediate_size"));
        shape.Check(config, where);
        return shape;
    }

    private void Check(ConfigReader config, string where)
    {
        if (Heads is { } heads && heads % KeyValueHeads!.Value != 0)
        {
            throw config.Wrong(where, FormattableString.Invariant($"gives {heads} heads, which {KeyValueHeads} key/value heads do not divide"));
        }
    }
}
