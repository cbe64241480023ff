namespace Compress.Runtime.Kernels.Panels;

/// <summary>A weight <c>[rows, columns]</c> that can be laid out in panels.</summary>
/// <param name="format">The panels' format.</param>
/// <param name="rows">Rows.</param>
/// <param name="columns">Columns, rounded up to blocks of 32.</param>
internal abstract unsafe class PanelSource(PanelFormat format, int rows, int columns)
{
    /// <summary>The panels' format.</summary>
    public PanelFormat Format { get; } = format;

    /// <summary>Rows.</summary>
    public int Rows { get; } = rows;

    /// <summary>Columns, a multiple of 32.</summary>
    public int Columns { get; } = columns;

    /// <summary>Which input each column takes (activation order); null for the natural order.</summary>
    public virtual int[]? InputOrder => null;

    /// <summary>Writes a panel.</summary>
    /// <param name="panel">Which sixteen rows.</param>
    /// <param name="to">Receives <see cref="PanelFormat.PanelBytes"/>.</param>
    /// <param name="codes">Scratch of <c>16 · columns</c> bytes.</param>
    public abstract void Fill(int panel, byte* to, byte* codes);
}
