using System.Runtime.InteropServices;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>
/// The operands of one panel product: <c>y[t,r] += Σ_s scale[s,r]·xs[b,t]·Σ_c code[r,c]·x[c,t] + offset[s,r]·xsum[s,t]</c>, where s counts
/// groups of 16 or 32 columns, b blocks of 32. The layout is known to the assembled kernels.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PanelCall
{
    /// <summary>Codes of the panel, as <see cref="CodePlanes"/> lays them out.</summary>
    public byte* Codes;

    /// <summary>Scales <c>[groups, 16]</c>, floats or, where the kernel's shape says so, halves as stored.</summary>
    public float* Scales;

    /// <summary>Offsets <c>[groups, 16]</c>: what code 0 stands for.</summary>
    public float* Offsets;

    /// <summary>Activations, 8-bit, <c>[steps, tokens, 4]</c>.</summary>
    public sbyte* X;

    /// <summary>Steps of the activations, <c>[blocks, tokens]</c>.</summary>
    public float* XScales;

    /// <summary>Sums of the activations, times their step, <c>[groups, tokens]</c>.</summary>
    public float* XSums;

    /// <summary>Blocks of 32 columns.</summary>
    public long Blocks;

    /// <summary>Results <c>[tokens, 16]</c>, added to.</summary>
    public float* Y;

    /// <summary>Table of 64 bytes (16 levels four times) for codes that index one.</summary>
    public byte* Table;

    /// <summary>The code that stands for 0, negated; for scales that are halves around it.</summary>
    public float MinusMiddle;
}
