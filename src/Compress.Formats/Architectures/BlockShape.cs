using System.Text.Json;

namespace Compress.Formats.Architectures;

/// <summary>Sizes of one block; a null sublayer was removed.</summary>
/// <param name="Heads">Query heads, or null without attention.</param>
/// <param name="KeyValueHeads">Key/value heads, or null without attention.</param>
/// <param name="IntermediateSize">MLP channels, or null without MLP.</param>
/// <param name="Layer">
/// The block's number in the model it was cut from, which decides what alternates from layer to layer (windows, frequencies).
/// </param>
/// <remarks>
/// The key <c>compress_block_shapes</c> of <c>config.json</c> lists them where blocks differ, one object a block:
/// <c>{"layer": 3, "attention": {"heads": 6, "key_value_heads": 3}, "mlp": {"intermediate_size": 512}}</c>, with <c>null</c> in place of
/// a removed sublayer; <c>layer</c> may be left out where no block was removed. Without the key every block has the sizes of the
/// family's own keys.
/// </remarks>
public sealed record BlockShape(int? Heads, int? KeyValueHeads, int? IntermediateSize, int Layer)
{
    /// <summary>The configuration key.</summary>
    public const string Key = "compress_block_shapes";

    /// <summary>The shapes of all blocks.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="blocks">Number of blocks.</param>
    /// <param name="uniform">What the family's own keys give every block.</param>
    /// <param name="headSize">Size of a head.</param>
    /// <param name="grouped">Whether the family can share KV heads.</param>
    /// <exception cref="ModelFileException">The list has another length than the model has blocks, or an entry is malformed.</exception>
    internal static BlockShape[] ReadAll(ConfigReader config, int blocks, BlockShape uniform, int headSize, bool grouped = true)
    {
        uniform.Check(config, "num_attention_heads", headSize, grouped);
        if (config.List(Key) is not { } entries) return [.. Enumerable.Range(0, blocks).Select(i => uniform with { Layer = i })];
        if (entries.Count != blocks)
        {
            throw config.Wrong(Key, FormattableString.Invariant($"has {entries.Count} entries for {blocks} blocks"));
        }
        return [.. entries.Select((e, i) => Read(e, config, i, headSize, grouped))];
    }

    private static BlockShape Read(JsonElement entry, ConfigReader config, int index, int headSize, bool grouped)
    {
        var where = FormattableString.Invariant($"{Key}[{index}]");
        var reader = new ConfigReader(entry, $"{config.File}: {where}");
        foreach (var part in (string[])["attention", "mlp"])
        {
            // A forgotten key must not read as a removed sublayer.
            if (!reader.Keys.Contains(part)) throw reader.Wrong(part, "is missing", "Write null for a removed sublayer.");
        }
        var attention = reader.Section("attention");
        var heads = attention?.Count("heads");
        var layer = (int)reader.Number("layer", index);
        var shape = new BlockShape(
            heads, attention?.Count("key_value_heads", heads), reader.Section("mlp")?.Count("intermediate_size"), layer);
        if (heads is null && shape.IntermediateSize is null)
        {
            throw config.Wrong(where, "has neither attention nor MLP", "Leave a removed block out of the list.");
        }
        shape.Check(config, where, headSize, grouped);
        return shape;
    }

    private void Check(ConfigReader config, string where, int headSize, bool grouped)
    {
        if (Heads is not { } heads) return;
        if (heads % KeyValueHeads!.Value != 0)
        {
            throw config.Wrong(
                where, FormattableString.Invariant($"gives {heads} heads, which {KeyValueHeads} key/value heads do not divide"));
        }
        if (!grouped && heads != KeyValueHeads)
        {
            throw config.Wrong(where, $"shares key/value heads, which {config.ModelType} cannot");
        }
        if ((long)heads * headSize > ConfigReader.LargestCount)
        {
            throw config.Wrong(where, FormattableString.Invariant($"gives {heads} heads of size {headSize}, which is too wide"));
        }
    }
}
