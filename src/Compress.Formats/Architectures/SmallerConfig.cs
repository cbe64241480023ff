using System.Text.Json;
using System.Text.Json.Nodes;

namespace Compress.Formats.Architectures;

/// <summary>The <c>config.json</c> of a model from which blocks, heads, channels or hidden dimensions were cut.</summary>
/// <remarks>
/// Where all blocks are alike the family's own keys say so, and other programs can load the result. Otherwise
/// <see cref="BlockShape.Key"/> lists the blocks. A cut hidden size keeps the head size (<c>head_dim</c>) and, for RMS norms, takes
/// <c>epsilon · old size / new size</c>, so that with scales multiplied by <c>√(old size / new size)</c> each norm gives exactly what it
/// gave on the old width with zeros in the removed dimensions.
/// </remarks>
public static class SmallerConfig
{
    /// <summary>Epsilon of the norms over query and key heads, where that of the other norms was changed.</summary>
    internal const string HeadEpsilonKey = "compress_head_norm_eps";

    /// <summary>Factor on token embeddings, where it no longer follows from the hidden size.</summary>
    internal const string EmbeddingScaleKey = "compress_embedding_scale";

    /// <summary>True where attention and MLP outputs have biases that the family's own keys cannot name.</summary>
    public const string OutputBiasKey = "compress_output_bias";

    private const string LayerTypes = "layer_types";

    /// <summary>Shapes of a model's blocks.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="spec">What was read from it.</param>
    public static IReadOnlyList<BlockShape> Shapes(JsonObject config, ModelSpec spec)
    {
        var listed = config[BlockShape.Key] as JsonArray;
        return [.. spec.Blocks.Select((b, i) => new BlockShape(
            b.Attention?.Heads, b.Attention?.KeyValueHeads, b.Mlp?.Up.OutFeatures, (int?)listed?[i]?["layer"] ?? i))];
    }

    /// <summary>A configuration with other sizes.</summary>
    /// <param name="config">The original configuration; not changed.</param>
    /// <param name="spec">What was read from it.</param>
    /// <param name="hiddenSize">New width of the residual stream.</param>
    /// <param name="shapes">The remaining blocks in order, their <see cref="BlockShape.Layer"/> as in <see cref="Shapes"/>.</param>
    /// <returns>The new configuration and what <see cref="ArchitectureRegistry"/> reads from it.</returns>
    /// <exception cref="ModelFileException">The family cannot represent the shapes.</exception>
    public static SyntheticModel Make(JsonObject config, ModelSpec spec, int hiddenSize, IReadOnlyList<BlockShape> shapes)
    {
        var keys = Family(config).Keys;
        var resized = config.DeepClone().AsObject();
        resized.Remove(BlockShape.Key);
        resized[keys.Blocks] = shapes.Count;
        if (hiddenSize != spec.HiddenSize) Narrow(resized, keys, spec, hiddenSize);
        var listed = Listed(resized, shapes);
        return Uniform(resized, keys, spec, shapes) is { } uniform && Alike(uniform.Spec, listed.Spec) ? uniform : listed;
    }

    /// <summary>
    /// A configuration whose blocks have biases on attention's and the MLP's output projections, which compensation for removed inputs needs.
    /// Llama's own keys give biases to the other projections too; other families get <see cref="OutputBiasKey"/>.
    /// </summary>
    /// <param name="config">The configuration; not changed.</param>
    /// <param name="spec">What was read from it.</param>
    /// <exception cref="ModelFileException">The family has no such biases.</exception>
    public static SyntheticModel WithOutputBiases(JsonObject config, ModelSpec spec)
    {
        if (HasOutputBiases(spec)) return new SyntheticModel(config, spec);
        var biased = config.DeepClone().AsObject();
        if (spec.Family == "llama")
        {
            biased["attention_bias"] = true;
            biased["mlp_bias"] = true;
        }
        else
        {
            biased[OutputBiasKey] = true;
        }
        var result = SyntheticModel.FromConfig(biased);
        return HasOutputBiases(result.Spec)
            ? result
            : throw new ModelFileException("config.json", $"{spec.Family} has no biases on its output projections.", "Use compensate: none.");
    }

    private static bool HasOutputBiases(ModelSpec spec) => spec.Blocks.All(b =>
        b.Attention is null or { Output.Bias: not null } && b.Mlp is null or { Down.Bias: not null });

    private static void Narrow(JsonObject config, SizeKeys keys, ModelSpec spec, int hiddenSize)
    {
        config[keys.Hidden] = hiddenSize;
        if (config.ContainsKey("word_embed_proj_dim")) config["word_embed_proj_dim"] = hiddenSize;
        if (spec.Blocks.FirstOrDefault(b => b.Attention is not null)?.Attention is { } attention) config["head_dim"] = attention.HeadSize;
        if (spec.Embedding.Scale != 1) config[EmbeddingScaleKey] = spec.Embedding.Scale;
        // A family that derives its channels from the hidden size would derive others now; the sizes of the blocks replace this value.
        config[keys.Intermediate] ??= spec.Blocks.Select(b => b.Mlp?.Up.OutFeatures).FirstOrDefault(n => n is not null) ?? 1;
        if (spec.FinalNorm is not { Kind: NormKind.Rms } norm || keys.NormEpsilon is null) return;
        config[keys.NormEpsilon] = norm.Epsilon * spec.HiddenSize / hiddenSize;
        var headNorm = spec.Blocks.Select(b => b.Attention?.QueryNorm).FirstOrDefault(n => n is not null);
        if (headNorm is not null) config[HeadEpsilonKey] = headNorm.Epsilon;
    }

    private static SyntheticModel Listed(JsonObject resized, IReadOnlyList<BlockShape> shapes)
    {
        var config = resized.DeepClone().AsObject();
        config[BlockShape.Key] = new JsonArray([.. shapes.Select(s => new JsonObject
        {
            ["layer"] = s.Layer,
            ["attention"] = s.Heads is null ? null : new JsonObject { ["heads"] = s.Heads, ["key_value_heads"] = s.KeyValueHeads },
            ["mlp"] = s.IntermediateSize is null ? null : new JsonObject { ["intermediate_size"] = s.IntermediateSize },
        })]);
        return SyntheticModel.FromConfig(config);
    }

    /// <summary>The configuration without a list of blocks, or null where it cannot say the same.</summary>
    private static SyntheticModel? Uniform(JsonObject resized, SizeKeys keys, ModelSpec spec, IReadOnlyList<BlockShape> shapes)
    {
        if (shapes.Count == 0 || shapes.Any(s => s with { Layer = shapes[0].Layer } != shapes[0])) return null;
        if (shapes[0] is not { Heads: { } heads, KeyValueHeads: { } keyValueHeads, IntermediateSize: { } channels }) return null;
        var config = resized.DeepClone().AsObject();
        config[keys.Heads] = heads;
        if (keys.KeyValueHeads is { } key) config[key] = keyValueHeads;
        config[keys.Intermediate] = channels;
        var headSize = spec.Blocks.First(b => b.Attention is not null).Attention!.HeadSize;
        if (heads * headSize != (int)config[keys.Hidden]!) config["head_dim"] = headSize;
        if (config[LayerTypes] is JsonArray types && shapes.All(s => s.Layer < types.Count))
        {
            config[LayerTypes] = new JsonArray([.. shapes.Select(s => types[s.Layer]?.DeepClone())]);
        }
        try { return SyntheticModel.FromConfig(config); }
        catch (ModelFileException) { return null; }
    }

    /// <summary>Whether what depends on a layer's number came out the same.</summary>
    private static bool Alike(ModelSpec a, ModelSpec b) => a.Blocks.Zip(b.Blocks).All(p =>
        p is { First.Attention: { } x, Second.Attention: { } y }
        && x.Window == y.Window && x.Scale == y.Scale && Alike(x.Rotary, y.Rotary));

    private static bool Alike(RotarySpec? a, RotarySpec? b) => a is null
        ? b is null
        : b is not null && a.InverseFrequencies.AsSpan().SequenceEqual(b.InverseFrequencies.AsSpan());

    private static IArchitecture Family(JsonObject config)
    {
        using var document = JsonDocument.Parse(config.ToJsonString());
        return ArchitectureRegistry.Family(new ConfigReader(document.RootElement, "config.json"));
    }
}
