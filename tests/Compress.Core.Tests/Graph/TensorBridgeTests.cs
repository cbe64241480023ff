using Compress.Core.Graph;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Tests.Graph;

public class TensorBridgeTests
{
    // More elements than one slice, and not a multiple of it.
    private const int Large = (1 << 20) + 12344;

    [Theory]
    [InlineData(torch.ScalarType.Float32)]
    [InlineData(torch.ScalarType.Float64)]
    [InlineData(torch.ScalarType.BFloat16)]
    [InlineData(torch.ScalarType.Float16)]
    public void A_large_tensor_arrives_whole_and_cast(torch.ScalarType type)
    {
        float[] values = [.. Enumerable.Range(0, Large).Select(i => MathF.Sin(i) * i)];
        using var source = new MemoryTensors();
        source.Add("x", [5, Large / 5], values);
        using var scope = torch.NewDisposeScope();
        var loaded = TensorBridge.Load(source.Open("x"), type);
        Assert.Equal([5, Large / 5], loaded.shape);
        Assert.True(loaded.flatten().equal(torch.from_array(values).to(type)).all().item<bool>());
    }

    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.I32)]
    [InlineData(ElementType.U8)]
    public void Bytes_are_those_of_a_cast_tensor(ElementType type)
    {
        using var scope = torch.NewDisposeScope();
        var tensor = (torch.arange(Large, torch.float32) % 100).view(5, -1).t();
        var bytes = TensorBridge.ToBytes(tensor, type);
        Assert.Equal(tensor.contiguous().to(TensorBridge.ScalarTypeOf(type)).bytes.ToArray(), bytes);
        Assert.Equal(type, TensorBridge.ElementTypeOf(TensorBridge.ScalarTypeOf(type)));
    }

    [Fact]
    public void Parts_of_fused_and_transposed_tensors_are_gathered()
    {
        using var source = new MemoryTensors();
        source.Add("fused", [6, 2], [0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51]);
        using var scope = torch.NewDisposeScope();
        // Two runs of one row, three rows apart.
        Assert.Equal([10f, 11, 40, 41], Read(new WeightPart("fused", Rows: new RowPattern(1, 2, 1, 3)), 2, 2));
        Assert.Equal([20f, 21, 30, 31], Read(new WeightPart("fused", Rows: new RowPattern(2, 2, 2, 2)), 2, 2));
        // Stored as [in 6, out 2].
        Assert.Equal([1f, 11, 21, 31, 41, 51], Read(new WeightPart("fused", true, new RowPattern(1, 1, 1, 1)), 1, 6));
        Assert.Equal([0f, 10, 20, 30, 40, 50, 1, 11, 21, 31, 41, 51], Read(new WeightPart("fused", Transposed: true), 2, 6));

        float[] Read(WeightPart part, long rows, long columns)
        {
            var loaded = TensorBridge.Load(source, part, rows, columns, torch.float32, torch.CPU);
            Assert.Equal([rows, columns], loaded.shape);
            Assert.True(loaded.is_contiguous());
            return loaded.data<float>().ToArray();
        }
    }

    [Fact]
    public void Loading_and_writing_leave_one_tensor()
    {
        using var source = new MemoryTensors();
        source.Add("x", [Large], new float[Large]);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var loaded = TensorBridge.Load(source.Open("x"), torch.bfloat16);
        TensorBridge.ToBytes(loaded, ElementType.F32);
        Assert.Equal(before + 1, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        loaded.Dispose();
    }
}
