using Compress.Core.Graph;
using Compress.Core.Methods;

namespace Compress.Core.Runs;

/// <summary>What one stage did to one site: a row of <c>sites.json</c> and <c>sites.parquet</c>.</summary>
public sealed record SiteReport
{
    /// <summary>Number of the stage, from 1.</summary>
    public required int Stage { get; init; }

    /// <summary>The method's name.</summary>
    public required string Method { get; init; }

    /// <summary>Site name.</summary>
    public required string Site { get; init; }

    /// <summary>What the site is for.</summary>
    public required SiteRole Role { get; init; }

    /// <summary>Its decoder block; null for head and embedding.</summary>
    public int? Block { get; init; }

    /// <summary>Output features.</summary>
    public required int Rows { get; init; }

    /// <summary>Input features.</summary>
    public required int Columns { get; init; }

    /// <summary>Share of the new weight's elements that are exactly zero.</summary>
    public required double Zeros { get; init; }

    /// <summary>Bits of a code, where the site was quantized.</summary>
    public int? Bits { get; init; }

    /// <summary>Columns of a group, where the site was quantized.</summary>
    public int? GroupSize { get; init; }

    /// <summary>Stored bits over elements, where the site was quantized: codes, scales, tables, outliers and padding.</summary>
    public double? BitsPerWeight { get; init; }

    /// <summary><c>‖W − W'‖² / ‖W‖²</c>, Frobenius.</summary>
    public required double WeightError { get; init; }

    /// <summary>
    /// Relative squared error of the site's output on the calibration tokens, <c>tr(ΔW H ΔWᵀ) / tr(W H Wᵀ)</c>; with channel norms in place
    /// of a Hessian only its diagonal counts. Null without statistics. Where a site has many rows, a fixed sample of them is measured.
    /// </summary>
    public double? OutputError { get; init; }

    /// <summary>Worst rung that numerical trouble made the method climb to.</summary>
    public Rung Rung { get; init; }

    /// <summary>Damping that was used, as a share of the mean Hessian diagonal.</summary>
    public double? Damping { get; init; }

    /// <summary>Input features that were always zero in calibration.</summary>
    public int DeadColumns { get; init; }

    /// <summary>The method's own layer loss, where it has one.</summary>
    public double? Loss { get; init; }

    /// <summary>Remarks for the user.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
