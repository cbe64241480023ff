using Compress.Formats;

namespace Compress.Cli;

/// <summary>Arguments that do not fit together, which no option's own check can see.</summary>
/// <param name="message">What was wrong and what to do about it.</param>
internal sealed class UsageException(string message) : CompressException(message);
