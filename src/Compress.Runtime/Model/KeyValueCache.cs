using Compress.Formats.Architectures;

namespace Compress.Runtime.Model;

/// <summary>Keys and values of one block, f32, <c>[positions, kv heads · head size]</c>.</summary>
internal sealed unsafe class KeyValueCache(AttentionSpec? spec, int context) : IDisposable
{
    private readonly Scratch keys = new(spec is null ? 0 : (long)context * spec.KeyValueHeads * spec.HeadSize);
    private readonly Scratch values = new(spec is null ? 0 : (long)context * spec.KeyValueHeads * spec.HeadSize);

    /// <summary>Floats of one position.</summary>
    public int Width { get; } = spec is null ? 0 : spec.KeyValueHeads * spec.HeadSize;

    public float* Keys => keys.Floats;

    public float* Values => values.Floats;

    public void Dispose()
    {
        keys.Dispose();
        values.Dispose();
    }
}

/// <summary>Cosines and sines of every position that a session can reach.</summary>
internal sealed unsafe class RotaryTables : IDisposable
{
    private readonly Scratch cos;
    private readonly Scratch sin;

    public RotaryTables(RotarySpec? spec, int context)
    {
        Pairs = spec is null ? 0 : spec.Dimensions / 2;
        cos = new Scratch((long)Pairs * context);
        sin = new Scratch((long)Pairs * context);
        if (spec is null) return;
        var frequencies = context > spec.LongBeyond ? spec.LongInverseFrequencies : spec.InverseFrequencies;
        for (var p = 0; p < context; p++)
        {
            for (var i = 0; i < Pairs; i++)
            {
                var (sine, cosine) = Math.SinCos(p * frequencies[i]);
                cos.Floats[(nint)p * Pairs + i] = (float)(cosine * spec.AttentionFactor);
                sin.Floats[(nint)p * Pairs + i] = (float)(sine * spec.AttentionFactor);
            }
        }
    }

    /// <summary>Pairs of dimensions that are rotated; 0 for none.</summary>
    public int Pairs { get; }

    public float* Cos(int position) => cos.Floats + (nint)position * Pairs;

    public float* Sin(int position) => sin.Floats + (nint)position * Pairs;

    public void Dispose()
    {
        cos.Dispose();
        sin.Dispose();
    }
}
