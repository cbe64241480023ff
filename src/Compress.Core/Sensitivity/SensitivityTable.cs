using System.Text.Json;
using Compress.Core.Graph;
using Compress.Core.Runs;
using Compress.Formats;

namespace Compress.Core.Sensitivity;

/// <summary>What one option does to one site while every other site stays as it is.</summary>
/// <param name="Site">Site name.</param>
/// <param name="Role">What the site is for.</param>
/// <param name="Block">Index of its block.</param>
/// <param name="Option">Index into <see cref="SensitivityTable.Options"/>.</param>
/// <param name="Weights">Weights of the site.</param>
/// <param name="Bytes">Bytes of its encoding: codes, scales, zero points, tables.</param>
/// <param name="OutputError">Relative squared error of its output on the calibration tokens; null where the method gathers no Hessian.</param>
/// <param name="Divergence">Mean KL divergence of the model with this site alone compressed from the original, nats a token.</param>
public sealed record SiteOption(
    string Site, SiteRole Role, int Block, int Option, long Weights, long Bytes, double? OutputError, double Divergence);

/// <summary>Options for every site of a model, measured once and reused for any budget.</summary>
/// <param name="Recipe">The recipe whose stages are the options, as YAML with defaults filled in.</param>
/// <param name="ModelSha256">Hash over the model's weight files: a table of another model is of no use.</param>
/// <param name="Options">What a user would call each option.</param>
/// <param name="ProbeTokens">Tokens over which the divergence is averaged.</param>
/// <param name="Entries">The measurements, block by block.</param>
public sealed record SensitivityTable(
    string Recipe, string ModelSha256, IReadOnlyList<string> Options, long ProbeTokens, IReadOnlyList<SiteOption> Entries)
{
    private const long LargestFile = 256 << 20;

    /// <summary>Reads a table.</summary>
    /// <exception cref="ModelFileException">The file is missing, damaged or no table.</exception>
    public static SensitivityTable Read(string path)
    {
        try
        {
            var file = new FileInfo(path);
            if (file.Exists && file.Length > LargestFile) throw new ModelFileException(path, "is too large for a sensitivity table.", "Give the file that 'compress sensitivity' wrote.");
            var table = JsonSerializer.Deserialize<SensitivityTable>(File.ReadAllBytes(path), RunJson.Line);
            if (table is { Recipe: not null, ModelSha256: not null, Options.Count: > 0, Entries: not null } && table.Entries.All(e => IsSound(e, table.Options.Count)))
                return table;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(path, $"cannot be read ({e.Message.TrimEnd('.')}).", "Give the file that 'compress sensitivity' wrote.", e);
        }
        throw new ModelFileException(path, "is no sensitivity table.", "Give the file that 'compress sensitivity' wrote.");
    }

    /// <summary>Writes the table; the file appears whole or not at all.</summary>
    public void Write(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(this, RunJson.Indented) + "\n");

    private static bool IsSound(SiteOption entry, int options) => entry is { Site: not null, Weights: > 0, Bytes: > 0 }
        && entry.Option >= 0 && entry.Option < options && double.IsFinite(entry.Divergence);
}
