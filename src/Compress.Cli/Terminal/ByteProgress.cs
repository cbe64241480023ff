using Compress.Core.Progress;
using Compress.Formats.Checkpoints;

namespace Compress.Cli.Terminal;

/// <summary>Turns tensors that go by into the progress of one phase, in megabytes, and ends the work when that was asked for.</summary>
internal sealed class ByteProgress : IDisposable
{
    private readonly IProgress<RunEvent> progress;
    private readonly CancellationToken cancellation;
    private long bytes;

    /// <summary>Begins the phase.</summary>
    /// <param name="progress">Takes the events.</param>
    /// <param name="name">Name of the phase.</param>
    /// <param name="total">Bytes that will go by.</param>
    /// <param name="cancellation">Asks for the end.</param>
    public ByteProgress(IProgress<RunEvent> progress, string name, long total, CancellationToken cancellation)
    {
        (this.progress, this.cancellation) = (progress, cancellation);
        progress.Report(new PhaseStarted(name, total / 1_000_000, "MB"));
    }

    /// <summary>A tensor went by.</summary>
    /// <exception cref="OperationCanceledException">The end was asked for.</exception>
    public void Add(TensorInfo tensor)
    {
        cancellation.ThrowIfCancellationRequested();
        bytes += tensor.ByteCount;
        progress.Report(new PhaseAdvanced(bytes / 1_000_000, tensor.Name));
    }

    /// <inheritdoc/>
    public void Dispose() => progress.Report(new PhaseEnded());
}
