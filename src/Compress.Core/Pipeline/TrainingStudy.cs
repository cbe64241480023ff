using Compress.Core.Graph;
using Compress.Core.Progress;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>What a training method works with; borrowed from the pipeline.</summary>
public sealed class TrainingStudy
{
    internal TrainingStudy()
    {
    }

    /// <summary>The model to train, in f32, in place.</summary>
    public required ModelGraph Student { get; init; }

    /// <summary>The model that the run began with, and its tokenizer.</summary>
    public required ModelFolder Original { get; init; }

    /// <summary>Names of the sites that the stage's targets select.</summary>
    public required IReadOnlySet<string> Selected { get; init; }

    /// <summary>Bool masks by site name, true where a weight may change: what <c>keep: sparsity</c> promises. Empty without it.</summary>
    public required IReadOnlyDictionary<string, torch.Tensor> Masks { get; init; }

    /// <summary>Reads how an earlier stage quantized a site, by name; null where it is dense.</summary>
    public required Func<string, EncodedWeight?> ReadEncoded { get; init; }

    /// <summary>Where everything lies.</summary>
    public required torch.Device Device { get; init; }

    /// <summary>Seed of everything random in the stage.</summary>
    public required int Seed { get; init; }

    /// <summary>What a user would call the stage.</summary>
    public required string Title { get; init; }

    /// <summary>A folder for log and checkpoints, which outlives an interruption.</summary>
    public required string Folder { get; init; }

    /// <summary>Differs where the student before the stage differs: a checkpoint of another student must not be continued.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Takes progress.</summary>
    public required IProgress<RunEvent> Progress { get; init; }

    /// <summary>Checked after each step.</summary>
    public required CancellationToken Cancellation { get; init; }
}
