using Compress.Formats;

namespace Compress.Core.Gates;

/// <summary>A gate cannot be judged: its baseline is missing, malformed, or of another measurement.</summary>
/// <param name="file">The baseline, or the run that was to be compared with it.</param>
/// <param name="problem">What is wrong.</param>
/// <param name="remedy">What the user can do.</param>
/// <param name="inner">The cause, where there is one.</param>
public sealed class GateException(string file, string problem, string remedy, Exception? inner = null)
    : CompressException($"{file}: {problem} {remedy}", inner);
