using System.Text.Json;

namespace Compress.Distill.Training;

/// <summary>One line of <c>log.jsonl</c>.</summary>
/// <param name="Step">Step, counted from 1.</param>
/// <param name="Loss">Mean loss of the batch, nats a token.</param>
/// <param name="LearningRate">Learning rate used.</param>
/// <param name="GradientNorm">Norm of the whole gradient before clipping.</param>
/// <param name="Taken">False where the step was dropped by the guard.</param>
public sealed record TrainingLogLine(int Step, double Loss, double LearningRate, double GradientNorm, bool Taken);

/// <summary>The log of a training run: one JSON line a step, numbers with all their digits.</summary>
public sealed class TrainingLog : IDisposable
{
    static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    readonly StreamWriter writer;

    /// <summary>Opens the log for appending after its first <paramref name="keep"/> lines; later lines, of steps that will be taken again, go.</summary>
    public TrainingLog(string path, int keep)
    {
        var kept = File.Exists(path) ? File.ReadLines(path).Take(keep).ToArray() : [];
        var partial = path + ".partial";
        File.WriteAllLines(partial, kept);
        File.Move(partial, path, overwrite: true);
        writer = new StreamWriter(path, append: true) { AutoFlush = true };
    }

    /// <summary>Appends a line.</summary>
    public void Write(TrainingLogLine line) => writer.WriteLine(JsonSerializer.Serialize(line, Json));

    /// <summary>Reads a log.</summary>
    public static IEnumerable<TrainingLogLine> Read(string path) =>
        File.ReadLines(path).Select(line => JsonSerializer.Deserialize<TrainingLogLine>(line, Json)!);

    /// <inheritdoc/>
    public void Dispose() => writer.Dispose();
}
