using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// The header of a llama2.c model (https://github.com/karpathy/llama2.c, export.py): seven 32-bit integers, in versions 1 and 2 behind
/// a magic number and in 256 bytes, in the legacy version alone.
/// </summary>
internal sealed record Llama2cHeader
{
    const uint Magic = 0x616b3432;
    const int Largest = 1 << 24;

    /// <summary>0 (legacy, f32), 1 (f32) or 2 (int8 with a scale for each group).</summary>
    public required int Version { get; init; }

    public required int Dimension { get; init; }

    public required int HiddenDimension { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    public required int KeyValueHeads { get; init; }

    public required int VocabularySize { get; init; }

    public required int SequenceLength { get; init; }

    /// <summary>True where the output head is the embedding.</summary>
    public required bool Tied { get; init; }

    /// <summary>Elements that share a scale (version 2).</summary>
    public int GroupSize { get; init; } = 1;

    public int HeadSize => Dimension / Heads;

    public int KeyValueDimension => HeadSize * KeyValueHeads;

    /// <summary>Where the weights begin.</summary>
    public int ByteCount => Version == 0 ? 28 : 256;

    /// <summary>Reads the header, or says what is wrong with it.</summary>
    public static Llama2cHeader? Read(ReadOnlySpan<byte> file, out string? problem)
    {
        problem = "it is too short for a header.";
        if (file.Length < 28) return null;
        if (BinaryPrimitives.ReadUInt32LittleEndian(file) != Magic) return Check(Numbers(file, 0, null, 0), out problem);
        if (file.Length < 256) return null;
        var version = BinaryPrimitives.ReadInt32LittleEndian(file[4..]);
        problem = $"it has version {version}; known are 1 and 2.";
        if (version is not (1 or 2)) return null;
        var groupSize = version == 2 ? BinaryPrimitives.ReadInt32LittleEndian(file[37..]) : 1;
        return Check(Numbers(file[8..], version, file[36] != 0, groupSize), out problem);
    }

    static Llama2cHeader Numbers(ReadOnlySpan<byte> n, int version, bool? tied, int groupSize)
    {
        var vocabulary = BinaryPrimitives.ReadInt32LittleEndian(n[20..]);
        return new Llama2cHeader
        {
            Version = version,
            Dimension = BinaryPrimitives.ReadInt32LittleEndian(n),
            HiddenDimension = BinaryPrimitives.ReadInt32LittleEndian(n[4..]),
            Layers = BinaryPrimitives.ReadInt32LittleEndian(n[8..]),
            Heads = BinaryPrimitives.ReadInt32LittleEndian(n[12..]),
            KeyValueHeads = BinaryPrimitives.ReadInt32LittleEndian(n[16..]),
            // The legacy version says by the sign whether the head is shared.
            VocabularySize = tied is null && vocabulary < 0 && vocabulary > int.MinValue ? -vocabulary : vocabulary,
            SequenceLength = BinaryPrimitives.ReadInt32LittleEndian(n[24..]),
            Tied = tied ?? vocabulary > 0,
            GroupSize = version == 2 ? groupSize : 1,
        };
    }

    static Llama2cHeader? Check(Llama2cHeader h, out string? problem)
    {
        (string Name, int Value)[] sizes =
        [
            ("dim", h.Dimension), ("hidden_dim", h.HiddenDimension), ("n_layers", h.Layers), ("n_heads", h.Heads),
            ("n_kv_heads", h.KeyValueHeads), ("vocab_size", h.VocabularySize), ("seq_len", h.SequenceLength), ("group_size", h.GroupSize),
        ];
        var wrong = Array.Find(sizes, s => s.Value is < 1 or > Largest);
        problem = wrong.Name is not null ? $"{wrong.Name} is {wrong.Value}."
            : h.Dimension % h.Heads != 0 || h.HeadSize % 2 != 0 ? $"dim {h.Dimension} does not give {h.Heads} heads of even size."
            : h.Heads % h.KeyValueHeads != 0 ? $"n_kv_heads {h.KeyValueHeads} does not divide n_heads {h.Heads}."
            : h.Layers > 10_000 ? $"n_layers is {h.Layers}."
            : null;
        return problem is null ? h : null;
    }

    /// <summary>The <c>config.json</c> of the same model in Hugging Face's Llama architecture.</summary>
    public JsonElement ToConfig()
    {
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray("LlamaForCausalLM"),
            ["model_type"] = "llama",
            ["hidden_size"] = Dimension,
            ["intermediate_size"] = HiddenDimension,
            ["num_hidden_layers"] = Layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = KeyValueHeads,
            ["head_dim"] = HeadSize,
            ["vocab_size"] = VocabularySize,
            ["max_position_embeddings"] = SequenceLength,
            ["hidden_act"] = "silu",
            // llama2.c fixes both in its code.
            ["rms_norm_eps"] = 1e-5,
            ["rope_theta"] = 10000.0,
            ["attention_bias"] = false,
            ["mlp_bias"] = false,
            ["tie_word_embeddings"] = Tied,
            ["bos_token_id"] = 1,
            ["eos_token_id"] = 2,
            ["torch_dtype"] = "float32",
        };
        return JsonSerializer.SerializeToElement(config);
    }
}
