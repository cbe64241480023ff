using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Core.Tests.Graph;

/// <summary>A checkpoint in memory, f32, with random values that make every part of a forward pass matter.</summary>
internal sealed unsafe class MemoryTensors : ITensorSource
{
    private readonly Dictionary<string, TensorInfo> infos = new(StringComparer.Ordinal);
    private readonly Dictionary<string, float[]> values = new(StringComparer.Ordinal);
    private readonly List<nint> allocations = [];
    private readonly Dictionary<string, nint> addresses = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, TensorInfo> Tensors => infos;

    public IReadOnlyDictionary<string, float[]> Values => values;

    public static MemoryTensors Random(ModelSpec spec, int seed)
    {
        var random = new Random(seed);
        var source = new MemoryTensors();
        foreach (var (name, shape) in SpecTensors.Expected(spec))
        {
            var count = shape.Aggregate(1L, (a, b) => a * b);
            // Norm scales near one, matrices large enough that attention and activations leave their linear range.
            var (mean, spread) = shape.Length == 1 && name.EndsWith("weight", StringComparison.Ordinal) ? (1.0, 0.4) : (0.0, 0.5);
            source.Add(name, shape, [.. Enumerable.Range(0, (int)count).Select(_ => (float)(mean + spread * Gaussian(random)))]);
        }
        return source;
    }

    public void Add(string name, ImmutableArray<long> shape, float[] data)
    {
        infos[name] = new TensorInfo(name, ElementType.F32, shape, data.Length * 4L);
        values[name] = data;
        // One byte off: sources promise no alignment.
        var memory = Marshal.AllocHGlobal(data.Length * 4 + 1);
        allocations.Add(memory);
        addresses[name] = memory + 1;
        MemoryMarshal.AsBytes<float>(data).CopyTo(new Span<byte>((byte*)memory + 1, data.Length * 4));
    }

    public TensorView Open(string name) => new(infos[name], addresses[name]);

    public void Dispose()
    {
        allocations.ForEach(Marshal.FreeHGlobal);
        allocations.Clear();
    }

    private static double Gaussian(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
