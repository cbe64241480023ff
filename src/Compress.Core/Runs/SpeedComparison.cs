using Compress.Runtime.Measuring;

namespace Compress.Core.Runs;

/// <summary>How fast the engine in C# runs original and result.</summary>
/// <param name="Export">The exported checkpoint that was timed, by its folder's name.</param>
/// <param name="Original">The original.</param>
/// <param name="Result">The exported checkpoint.</param>
public sealed record SpeedComparison(string Export, SpeedResult Original, SpeedResult Result);
