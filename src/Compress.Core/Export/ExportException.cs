using Compress.Formats;

namespace Compress.Core.Export;

/// <summary>A checkpoint cannot be written in a format, or what was written is not what was meant.</summary>
/// <param name="target">The folder.</param>
/// <param name="problem">What is wrong.</param>
/// <param name="remedy">What the user can do.</param>
public sealed class ExportException(string target, string problem, string remedy) : CompressException($"{target}: {problem} {remedy}");
