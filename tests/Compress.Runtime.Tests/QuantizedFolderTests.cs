using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Runtime.Model;
using Compress.Testing;

namespace Compress.Runtime.Tests;

/// <summary>A quantized checkpoint gives the logits of the dense one that it decodes to.</summary>
public sealed class QuantizedFolderTests : IDisposable
{
    private const int Bits = 4, GroupSize = 64;

    private static readonly int[] Prompt = [.. Enumerable.Range(0, 40).Select(i => 3 + i * 37 % 2000)];

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Logits_equal_those_of_the_decoded_twin(bool activationOrder)
    {
        var (packed, dense) = Write(activationOrder);
        var expected = Logits(dense, ActivationPrecision.Full);
        var size = expected.Max(Math.Abs);
        Assert.True(Worst(expected, Logits(packed, ActivationPrecision.Full)) < 1e-4 * size);
        var quantized = Logits(packed, ActivationPrecision.Quantized);
        Assert.True(Worst(expected, quantized) < 0.05 * size);
        // What is not equal to the last digit was made of rounded activations.
        Assert.True(Worst(expected, quantized) > 1e-5 * size);
    }

    [Fact]
    public void Laid_out_weights_take_fewer_bytes_than_a_quarter_of_half_precision_and_their_scales()
    {
        var (packed, dense) = Write(activationOrder: false);
        using var small = RuntimeModel.Open(packed, threads: 1);
        using var large = RuntimeModel.Open(dense, threads: 1);
        var head = large.Spec.VocabularySize * (long)large.Spec.HiddenSize * 2;
        Assert.InRange((small.WeightBytes - head) / (double)(large.WeightBytes - head), 0.12, 0.15);
    }

    private static float[] Logits(string path, ActivationPrecision activations)
    {
        using var model = RuntimeModel.Open(path, new RuntimeOptions { Threads = 2, Activations = activations });
        using var session = model.NewSession(Prompt.Length + 1);
        session.Forward(Prompt);
        return session.Forward([5]).ToArray();
    }

    private static float Worst(float[] a, float[] b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max();

    private (string Packed, string Dense) Write(bool activationOrder)
    {
        using var original = ModelFolder.Open(Path.Combine(SharedData.Repository, "models", "embedded"));
        var sites = original.Spec.Blocks
            .SelectMany(b => new[] { b.Attention!.Query, b.Attention.Key, b.Attention.Value, b.Attention.Output, b.Mlp!.Gate!, b.Mlp.Up, b.Mlp.Down })
            .ToDictionary(l => l.Weight.Tensor, l => l.Name);
        var quantized = sites.ToDictionary(s => s.Key, s => Round(original.Tensors.Open(s.Key), activationOrder));
        var tensors = original.Tensors.Tensors.Values.ToList();
        var parts = tensors.ToDictionary(t => t.Name, t => sites.TryGetValue(t.Name, out var site) ? CompressedTensors.Pack(site, quantized[t.Name]) : null);
        var schemes = sites.Values.Append("lm_head").ToDictionary(
            n => n, n => n == "lm_head" ? null : QuantizationScheme.Of(quantized[n + ".weight"]), StringComparer.Ordinal);

        var (packed, dense) = (Path.Combine(folder.Path, "packed"), Path.Combine(folder.Path, "dense"));
        using (var writer = Begin(packed, original, tensors.SelectMany(t => parts[t.Name]?.Select(p => p.Info) ?? [t]), CompressedTensorsConfig.For(schemes).ToJson()))
        {
            foreach (var tensor in tensors)
            {
                if (parts[tensor.Name] is not { } stored) writer.Write(tensor.Name, original.Tensors.Open(tensor.Name));
                else
                {
                    foreach (var part in stored) writer.Write(part.Info.Name, part.Bytes);
                }
            }
            writer.Complete();
        }
        using (var writer = Begin(dense, original, tensors.Select(t => sites.ContainsKey(t.Name) ? TensorInfo.Of(t.Name, ElementType.F32, t.Shape.AsSpan()) : t), null))
        {
            foreach (var tensor in tensors)
            {
                if (!quantized.TryGetValue(tensor.Name, out var weight)) writer.Write(tensor.Name, original.Tensors.Open(tensor.Name));
                else
                {
                    var values = new float[weight.Rows * weight.Columns];
                    for (var r = 0; r < weight.Rows; r++) weight.DecodeRow(r, values.AsSpan(r * weight.Columns, weight.Columns));
                    writer.Write(tensor.Name, MemoryMarshal.AsBytes<float>(values));
                }
            }
            writer.Complete();
        }
        return (packed, dense);
    }

    private static HuggingFaceFolderWriter Begin(string target, ModelFolder original, IEnumerable<TensorInfo> tensors, JsonObject? quantization)
    {
        var config = JsonNode.Parse(original.Config.GetRawText())!.AsObject();
        if (quantization is not null) config["quantization_config"] = quantization;
        return HuggingFaceFolderWriter.Create(target, JsonSerializer.SerializeToElement(config), [.. tensors], new FolderWriterOptions());
    }

    private static GroupQuantizedWeight Round(TensorView view, bool activationOrder)
    {
        int rows = (int)view.Info.Shape[0], columns = (int)view.Info.Shape[1], groups = columns / GroupSize;
        var values = new float[rows * columns];
        ElementConversion.ToSingle(view.Info.Type, view.Bytes(0, (int)view.Info.ByteCount), values);
        var index = Enumerable.Range(0, columns).Select(c => c / GroupSize).ToArray();
        if (activationOrder) new Random(columns).Shuffle(index);
        var scales = new float[rows * groups];
        for (var i = 0; i < values.Length; i++)
        {
            ref var scale = ref scales[i / columns * groups + index[i % columns]];
            scale = Math.Max(scale, Math.Abs(values[i]) / 7);
        }
        for (var i = 0; i < scales.Length; i++) scales[i] = (float)(Half)Math.Max(scales[i], 1e-4f);
        return new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = Bits,
            GroupSize = GroupSize,
            Symmetric = true,
            ScaleType = ElementType.F16,
            Codes = [.. values.Select((v, i) => (byte)Math.Clamp(MathF.Round(v / scales[i / columns * groups + index[i % columns]]) + 8, 0, 15))],
            Scales = scales,
            Zeros = [.. Enumerable.Repeat(8, rows * groups)],
            GroupIndex = activationOrder ? index : null,
        };
    }
}
