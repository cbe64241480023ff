using System.Runtime.InteropServices;
using System.Text.Json;
using Compress.Formats;
using Compress.Formats.Checkpoints;

namespace Compress.Testing;

/// <summary>A checkpoint made of arrays, for tests. Names and shapes are as in a Hugging Face checkpoint.</summary>
public sealed class InMemoryTensors : ITensorSource
{
    readonly OrderedDictionary<string, TensorInfo> tensors = new(StringComparer.Ordinal);
    readonly Dictionary<string, NativeTensorMemory> data = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

    /// <summary>Adds an f32 tensor.</summary>
    public InMemoryTensors Add(string name, float[] values, params long[] shape) =>
        Add(name, ElementType.F32, MemoryMarshal.AsBytes<float>(values), shape);

    /// <summary>Adds a tensor of any type from its little-endian bytes.</summary>
    public InMemoryTensors Add(string name, ElementType type, ReadOnlySpan<byte> bytes, params long[] shape)
    {
        var info = TensorInfo.Of(name, type, shape);
        if (info.ByteCount != bytes.Length)
            throw new ArgumentException($"{name}: {bytes.Length} bytes do not fill {info.ShapeText}", nameof(bytes));
        var memory = new NativeTensorMemory(bytes.Length);
        bytes.CopyTo(memory.Bytes(0, bytes.Length));
        tensors.Add(name, info);
        data.Add(name, memory);
        return this;
    }

    /// <inheritdoc/>
    public TensorView Open(string name) => tensors.TryGetValue(name, out var info)
        ? new TensorView(info, data[name].Address, data[name])
        : throw new ModelFileException("memory", $"there is no tensor \"{name}\".", Suggestion.For(name, [.. tensors.Keys]));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var memory in data.Values) memory.Dispose();
    }

    /// <summary>
    /// The shared gpt-nano-sort model (minGPT's JSON) as a GPT-2 checkpoint: GPT-2 names, linears transposed to Conv1D's
    /// <c>[in, out]</c>, untied head. Call only from tests marked <see cref="SharedDataFactAttribute"/>.
    /// </summary>
    /// <returns>The tensors and a <c>config.json</c> for them.</returns>
    public static (InMemoryTensors Tensors, JsonElement Config) GptNanoSort()
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(SharedData.At("models", "gpt-nano-sort", "gpt-nano-sort-model.json")));
        var source = new InMemoryTensors();
        foreach (var property in json.RootElement.EnumerateObject())
        {
            // "attn.bias" and "attn.masked_bias" are causal masks, not parameters.
            if (property.Name == "config" || property.Name.EndsWith(".attn.bias", StringComparison.Ordinal)) continue;
            var shape = property.Value.GetProperty("shape").EnumerateArray().Select(n => n.GetInt64()).ToArray();
            var values = MemoryMarshal.Cast<byte, float>(property.Value.GetProperty("data").GetBytesFromBase64()).ToArray();
            var convolution = property.Name.Contains(".c_", StringComparison.Ordinal) && shape.Length == 2;
            if (convolution) (values, shape) = (Transpose(values, (int)shape[0], (int)shape[1]), [shape[1], shape[0]]);
            source.Add(property.Name, values, shape);
        }
        const string Config = """
            {"model_type":"gpt2","architectures":["GPT2LMHeadModel"],"n_layer":3,"n_head":3,"n_embd":48,"n_positions":11,"n_ctx":11,
             "vocab_size":3,"layer_norm_epsilon":1e-5,"activation_function":"gelu_new","tie_word_embeddings":false}
            """;
        return (source, JsonElement.Parse(Config));
    }

    static float[] Transpose(float[] values, int rows, int columns)
    {
        var result = new float[values.Length];
        for (var r = 0; r < rows; r++)
        {
            for (var c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c];
        }
        return result;
    }
}
