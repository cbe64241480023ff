using Compress.Formats;

namespace Compress.Core.Evaluation;

/// <summary>An evaluation was asked for that cannot be made: unknown protocol, window that does not fit, text that is too short.</summary>
/// <param name="message">What is wrong and what to do.</param>
public sealed class EvaluationException(string message) : CompressException(message);
