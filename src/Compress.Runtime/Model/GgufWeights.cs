using System.Globalization;
using System.Text.Json.Nodes;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Gguf;
using Compress.Formats.Tokenizers;

namespace Compress.Runtime.Model;

/// <summary>A GGUF file of architecture <c>llama</c>: its metadata as a configuration, its tensors under Hugging Face names.</summary>
internal sealed class GgufWeights : IWeights
{
    private readonly GgufFile file;
    private readonly string path;

    private GgufWeights(string path, GgufFile file)
    {
        this.path = path;
        this.file = file;
        Spec = SyntheticModel.FromConfig(Configuration()).Spec;
    }

    public ModelSpec Spec { get; }

    public bool InterleavedRotary => true;

    /// <summary>Opens a file.</summary>
    /// <exception cref="ModelFileException">The file is malformed, or not a llama model.</exception>
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
        var stored = Find(part.Tensor, rows, columns);
        return WeightMatrix.Borrow(stored.Type, rows, columns, file.Address(stored));
    }

    public float[] Vector(WeightPart part, int length)
    {
        var stored = Find(part.Tensor, length);
        var values = new float[length];
        GgmlDecoder.Decode(stored.Type, file.Bytes(stored, 0, (int)stored.ByteCount), values);
        return values;
    }

    public Tokenizer LoadTokenizer() => GgufTokenizer.Read(file, path);

    public void Dispose() => file.Dispose();

    private JsonObject Configuration()
    {
        var architecture = Key<string>("general.architecture");
        if (architecture != "llama")
            throw new ModelFileException(path, $"general.architecture is \"{architecture}\", which the engine does not run yet.", "It runs llama.");
        var hidden = Number("llama.embedding_length");
        var heads = Number("llama.attention.head_count");
        var tokens = file.Tensors.TryGetValue("token_embd.weight", out var table) && table.Shape.Length == 2
            ? table.Shape[0]
            : throw new ModelFileException(path, "it has no tensor token_embd.weight.", "Vocabulary-only files hold no model.");
        if (file.Tensors.ContainsKey("rope_freqs.weight") || file.Metadata.ContainsKey("llama.rope.scaling.type"))
            throw new ModelFileException(path, "its rotary embedding is scaled, which is not read from GGUF yet.", "Use the Hugging Face checkpoint.");
        return new JsonObject
        {
            ["model_type"] = "llama",
            ["hidden_act"] = "silu",
            ["hidden_size"] = hidden,
            ["intermediate_size"] = Number("llama.feed_forward_length"),
            ["num_hidden_layers"] = Number("llama.block_count"),
            ["num_attention_heads"] = heads,
            ["num_key_value_heads"] = Number("llama.attention.head_count_kv", heads),
            ["head_dim"] = Number("llama.attention.key_length", hidden / Math.Max(1, heads)),
            ["max_position_embeddings"] = Number("llama.context_length"),
            ["rms_norm_eps"] = (double)Key<float>("llama.attention.layer_norm_rms_epsilon"),
            ["rope_theta"] = file.Metadata.TryGetValue("llama.rope.freq_base", out var theta) && theta is float f ? f : 10000.0,
            ["tie_word_embeddings"] = !file.Tensors.ContainsKey("output.weight"),
            ["vocab_size"] = tokens,
        };
    }

    private int Number(string key, int? fallback = null)
    {
        if (!file.Metadata.TryGetValue(key, out var value) && fallback is { } given) return given;
        return value is uint number and <= int.MaxValue
            ? (int)number
            : throw new ModelFileException(path, $"metadata {key} is {value ?? "absent"}, not one number.", "Models with a value for each layer are not run yet.");
    }

    private T Key<T>(string key) => file.Metadata.TryGetValue(key, out var value) && value is T typed
        ? typed
        : throw new ModelFileException(path, $"metadata {key} is absent or of another type.");

    private GgufTensor Find(string tensor, params ReadOnlySpan<long> shape)
    {
        var name = GgufName(tensor);
        if (!file.Tensors.TryGetValue(name, out var stored)) throw new ModelFileException(path, $"it has no tensor {name}.");
        if (!stored.Shape.AsSpan().SequenceEqual(shape))
        {
            throw new ModelFileException(path, string.Create(CultureInfo.InvariantCulture,
                $"tensor {name} is [{string.Join(", ", stored.Shape)}], expected [{string.Join(", ", shape.ToArray())}]."));
        }
        return stored;
    }

    private static string GgufName(string tensor)
    {
        const string Layers = "model.layers.";
        if (!tensor.StartsWith(Layers, StringComparison.Ordinal))
        {
            return tensor switch
            {
                "model.embed_tokens.weight" => "token_embd.weight",
                "model.norm.weight" => "output_norm.weight",
                "lm_head.weight" => "output.weight",
                _ => tensor,
            };
        }
        var rest = tensor[Layers.Length..];
        var dot = rest.IndexOf('.', StringComparison.Ordinal);
        var part = rest[(dot + 1)..] switch
        {
            "input_layernorm.weight" => "attn_norm.weight",
            "self_attn.q_proj.weight" => "attn_q.weight",
            "self_attn.k_proj.weight" => "attn_k.weight",
            "self_attn.v_proj.weight" => "attn_v.weight",
            "self_attn.o_proj.weight" => "attn_output.weight",
            "post_attention_layernorm.weight" => "ffn_norm.weight",
            "mlp.gate_proj.weight" => "ffn_gate.weight",
            "mlp.up_proj.weight" => "ffn_up.weight",
            "mlp.down_proj.weight" => "ffn_down.weight",
            var other => other,
        };
        return $"blk.{rest[..dot]}.{part}";
    }
}
