namespace Compress.Core.Methods;

/// <summary>How far a method had to climb to get through numerical trouble at a site; higher is worse.</summary>
public enum Rung
{
    /// <summary>No trouble.</summary>
    None,

    /// <summary>More damping than asked for.</summary>
    Damping,

    /// <summary>Factorised in double precision.</summary>
    DoublePrecision,

    /// <summary>Eigenvalues clipped.</summary>
    EigenvalueClipping,

    /// <summary>Rounded to nearest: no second-order information could be used.</summary>
    RoundToNearest,
}

/// <summary>What a method reports of one site: data for the run directory, never an exception.</summary>
public sealed class SiteLog
{
    /// <summary>Worst rung used.</summary>
    public Rung Rung { get; set; }

    /// <summary>Damping that was used, as a share of the mean Hessian diagonal.</summary>
    public double? Damping { get; set; }

    /// <summary>Input features that were always zero in calibration.</summary>
    public int DeadColumns { get; set; }

    /// <summary>The method's own layer loss, where it has one.</summary>
    public double? Loss { get; set; }

    /// <summary>Remarks for the user, each a full sentence.</summary>
    public List<string> Notes { get; } = [];
}
