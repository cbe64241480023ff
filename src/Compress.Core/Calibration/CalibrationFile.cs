using System.Globalization;
using System.Text;
using System.Text.Json;
using Compress.Core.Runs;

namespace Compress.Core.Calibration;

/// <summary>The content of a run's <c>calibration.json</c>: the token ids that calibration used, so that others can repeat it.</summary>
/// <param name="Data">File that the text came from.</param>
/// <param name="DataSha256">Of that file.</param>
/// <param name="Sampling">How windows were drawn.</param>
/// <param name="Documents">Documents in the data.</param>
/// <param name="Samples">Number of windows.</param>
/// <param name="Length">Tokens of a window.</param>
/// <param name="Seed">Seed of the draw.</param>
/// <param name="Windows">The windows, in the order in which they go through the model.</param>
public sealed record CalibrationFile(
    string Data,
    string DataSha256,
    WindowSampling Sampling,
    int Documents,
    int Samples,
    int Length,
    int Seed,
    IReadOnlyList<CalibrationWindow> Windows)
{
    /// <summary>Name in the run folder.</summary>
    public const string Name = "calibration.json";

    /// <summary>Reads the file of a run.</summary>
    /// <exception cref="RunException">The file is missing or damaged.</exception>
    public static CalibrationFile Read(string path)
    {
        try
        {
            if (JsonSerializer.Deserialize<CalibrationFile>(File.ReadAllBytes(path), RunJson.Line) is { Windows: not null } file) return file;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new RunException(path, $"cannot be read ({e.Message.TrimEnd('.')}).", "Delete the run folder and start again.", e);
        }
        throw new RunException(path, "holds no windows.", "Delete the run folder and start again.");
    }

    /// <summary>The file's text: one window a line, so that it can be read and compared by eye and by tools.</summary>
    public string ToJson()
    {
        var text = new StringBuilder(JsonSerializer.Serialize(this with { Windows = [] }, RunJson.Line));
        text.Length -= "]}".Length;
        for (var i = 0; i < Windows.Count; i++)
        {
            var window = Windows[i];
            text.Append(i == 0 ? "\n" : ",\n").Append(CultureInfo.InvariantCulture,
                $"{{\"document\":{window.Document},\"start\":{window.Start},\"tokens\":[{string.Join(',', window.Tokens)}]}}");
        }
        return text.Append("\n]}\n").ToString();
    }
}
