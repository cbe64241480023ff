using Compress.Core.Statistics;

namespace Compress.Core.Methods;

/// <summary>A method that a stage of a recipe names. What it works on is said by the interface that extends this one.</summary>
public interface IMethod
{
    /// <summary>Statistics of the sites' inputs that the pipeline gathers for it.</summary>
    Needs Needs { get; }

    /// <summary>Whether a recipe that names it needs calibration data.</summary>
    bool Calibrated => Needs.Types.Count > 0;
}
