using System.Globalization;
using System.Text.Json.Nodes;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Gguf;
using Compress.Formats.Tokenizers;

namespace Compress.Runtime.Model;

/// <summary>A GGUF file of a Llama-like architecture: its metadata as a configuration, its tensors under Hugging Face names.</summary>
internal sealed class GgufWeights : IWeights
{
    /// <summary>llama.cpp's name for a Llama whose blocks differ, some without attention.</summary>
    private const string Uneven = "deci";

    private static readonly string[] Architectures = ["llama", Uneven, "qwen2", "qwen3"];

    private readonly GgufFile file;
    private readonly string path;
    private readonly string architecture;

    private GgufWeights(string path, GgufFile file)
    {
        this.path = path;
        this.file = file;
        architecture = Key<string>("general.architecture");
        if (!Architectures.Contains(architecture))
        {
            throw new ModelFileException(path, $"general.architecture is \"{Suggestion.Shorten(architecture)}\", which the engine does not run yet.",
                $"It runs {string.Join(", ", Architectures)}.");
        }
        Spec = Scaled(SyntheticModel.FromConfig(Configuration(), path).Spec);
        RequireAllBiases();
    }

    public ModelSpec Spec { get; }

    public bool InterleavedRotary => architecture is "llama" or Uneven;

    /// <summary>Opens a file.</summary>
    /// <exception cref="ModelFileException">The file is malformed, or of an architecture that is not run.</exception>
    public static GgufWeights Open(string path)
    {
        var file = GgufFile.Open(path);
        try { return new GgufWeights(path, file); }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public WeightMatrix Matrix(WeightPart part, int rows, int columns)
    {
        var stored = Tensor(part.Tensor, rows, columns);
        return WeightMatrix.Borrow(stored.Type, rows, columns, file.Address(stored));
    }

    public float[] Vector(WeightPart part, int length)
    {
        var stored = Tensor(part.Tensor, length);
        var values = new float[length];
        GgmlDecoder.Decode(stored.Type, file.Bytes(stored, 0, (int)stored.ByteCount), values);
        return values;
    }

    public Tokenizer LoadTokenizer() => GgufTokenizer.Read(file, path);

    public void Dispose() => file.Dispose();

    private JsonObject Configuration()
    {
        var hidden = Number("embedding_length");
        var blocks = Number("block_count");
        if (blocks > file.Tensors.Count) throw new ModelFileException(path, $"it names {blocks} blocks but has only {file.Tensors.Count} tensors.");
        var heads = Numbers("attention.head_count", blocks);
        var keyValueHeads = Numbers("attention.head_count_kv", blocks, heads);
        var channels = Numbers("feed_forward_length", blocks);
        var tokens = file.Tensors.TryGetValue("token_embd.weight", out var table) && table.Shape.Length == 2
            ? table.Shape[0]
            : throw new ModelFileException(path, "it has no tensor token_embd.weight.", "Vocabulary-only files hold no model.");
        if (Find("rope.scaling.type") is string and not "none")
            throw new ModelFileException(path, "its rotary embedding is scaled in a way that is not read from GGUF yet.", "Use the Hugging Face checkpoint.");
        var config = new JsonObject
        {
            ["model_type"] = architecture is Uneven ? "llama" : architecture,
            ["hidden_act"] = "silu",
            ["hidden_size"] = hidden,
            ["intermediate_size"] = channels[0],
            ["num_hidden_layers"] = blocks,
            ["num_attention_heads"] = heads[0],
            ["num_key_value_heads"] = keyValueHeads[0],
            ["head_dim"] = Number("attention.key_length", hidden / Math.Max(1, heads[0])),
            ["max_position_embeddings"] = Number("context_length"),
            ["rms_norm_eps"] = (double)Key<float>($"{architecture}.attention.layer_norm_rms_epsilon"),
            ["rope_theta"] = Find("rope.freq_base") is float theta ? theta : 10000.0,
            ["tie_word_embeddings"] = !file.Tensors.ContainsKey("output.weight"),
            ["vocab_size"] = tokens,
        };
        if (InterleavedRotary) AddBiases(config);
        if (IsUniform(heads) && IsUniform(keyValueHeads) && IsUniform(channels)) return config;
        config[BlockShape.Key] = new JsonArray([.. Enumerable.Range(0, blocks).Select(i => new JsonObject
        {
            ["attention"] = heads[i] == 0 ? null : new JsonObject { ["heads"] = heads[i], ["key_value_heads"] = keyValueHeads[i] },
            ["mlp"] = new JsonObject { ["intermediate_size"] = channels[i] },
        })]);
        return config;
    }

    /// <summary>Says in the configuration which projections have biases, which a GGUF file shows by having them.</summary>
    private void AddBiases(JsonObject config)
    {
        bool Has(string part) => file.Tensors.ContainsKey($"blk.0.{part}.bias");
        var (query, output, gate, down) = (Has("attn_q"), Has("attn_output"), Has("ffn_gate"), Has("ffn_down"));
        // Llama's keys give biases to all projections of a sublayer, Qwen2 to the inputs of attention; the last key adds both outputs.
        if (query && !(output && gate == down)) config["model_type"] = "qwen2";
        else if (query) config["attention_bias"] = true;
        if (gate) config["mlp_bias"] = true;
        if ((output && !query) || (down && !gate)) config[SmallerConfig.OutputBiasKey] = true;
    }

    /// <summary>Refuses biases that the model would be run without.</summary>
    private void RequireAllBiases()
    {
        var known = Spec.Blocks.SelectMany(b => (IEnumerable<LinearSpec?>)
                [b.Attention?.Query, b.Attention?.Key, b.Attention?.Value, b.Attention?.Output, b.Mlp?.Gate, b.Mlp?.Up, b.Mlp?.Down])
            .Where(l => l?.Bias is not null).Select(l => GgufNames.Of(l!.Bias!.Tensor)).ToHashSet(StringComparer.Ordinal);
        if (file.Tensors.Keys.FirstOrDefault(t => t.EndsWith(".bias", StringComparison.Ordinal) && !known.Contains(t)) is { } other)
            throw new ModelFileException(path, $"tensor {Suggestion.Shorten(other)} is a bias that the engine has no place for.", "Use the Hugging Face checkpoint.");
    }

    private static bool IsUniform(int[] values) => !values.AsSpan().ContainsAnyExcept(values[0]);

    /// <summary>Frequencies divided by the factors that the file stores as a tensor (Llama 3).</summary>
    private ModelSpec Scaled(ModelSpec spec)
    {
        if (!file.Tensors.ContainsKey("rope_freqs.weight")) return spec;
        var rotary = spec.Blocks[0].Attention!.Rotary!;
        var factors = Vector(new WeightPart("rope_freqs.weight"), rotary.InverseFrequencies.Length);
        if (!Array.TrueForAll(factors, f => float.IsFinite(f) && f > 0)) throw new ModelFileException(path, "tensor rope_freqs.weight holds a factor that is no positive number.");
        var scaled = rotary with { InverseFrequencies = [.. rotary.InverseFrequencies.Zip(factors, (f, by) => f / by)] };
        return spec with { Blocks = [.. spec.Blocks.Select(b => b.Attention is { } a ? b with { Attention = a with { Rotary = scaled } } : b)] };
    }

    private object? Find(string key) => file.Metadata.GetValueOrDefault($"{architecture}.{key}");

    private int Number(string key, int? fallback = null) => Find(key) switch
    {
        null when fallback is { } given => given,
        uint number and > 0 and <= int.MaxValue => (int)number,
        var other => throw new ModelFileException(path, $"metadata {architecture}.{key} is {other ?? "absent"}, not a positive number."),
    };

    /// <summary>A number for each block, which the file may give as one for all.</summary>
    private int[] Numbers(string key, int blocks, int[]? fallback = null)
    {
        // The first block of such a model has attention: its heads give their size.
        var removable = architecture == Uneven && key.StartsWith("attention.", StringComparison.Ordinal);
        long[]? values = Find(key) switch
        {
            null => fallback is null ? null : [.. fallback],
            uint one => [.. Enumerable.Repeat((long)one, blocks)],
            uint[] all => [.. all],
            int[] all => [.. all],
            _ => null,
        };
        if (values is null || values.Length != blocks || !Array.TrueForAll(values, v => v >= (removable ? 0 : 1) && v <= int.MaxValue) || values[0] == 0)
            throw new ModelFileException(path, $"metadata {architecture}.{key} is not a positive number, or one for each of the {blocks} blocks.");
        return [.. values.Select(v => (int)v)];
    }

    private T Key<T>(string key) => file.Metadata.TryGetValue(key, out var value) && value is T typed
        ? typed
        : throw new ModelFileException(path, $"metadata {key} is absent or of another type.");

    private GgufTensor Tensor(string tensor, params ReadOnlySpan<long> shape)
    {
        var name = GgufNames.Of(tensor);
        if (!file.Tensors.TryGetValue(name, out var stored)) throw new ModelFileException(path, $"it has no tensor {name}.");
        if (!stored.Shape.AsSpan().SequenceEqual(shape))
        {
            throw new ModelFileException(path, string.Create(CultureInfo.InvariantCulture,
                $"tensor {name} is [{string.Join(", ", stored.Shape)}], expected [{string.Join(", ", shape.ToArray())}]."));
        }
        return stored;
    }
}
