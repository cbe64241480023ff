using System.Text.Json;

namespace Compress.Core.Runs;

/// <summary>The content of <c>run.json</c>: what a run was made from and where.</summary>
/// <param name="Format">Version of the run folder's layout.</param>
/// <param name="Name">Name of the run.</param>
/// <param name="Model">The model, as the recipe has it.</param>
/// <param name="Inputs">Everything that decides the result: recipe keys, hashes of model and data, arithmetic.</param>
/// <param name="Environment">Versions, processor, threads.</param>
public sealed record RunManifest(
    int Format,
    string Name,
    string Model,
    SortedDictionary<string, string> Inputs,
    SortedDictionary<string, string> Environment)
{
    /// <summary>The layout that this version writes.</summary>
    public const int CurrentFormat = 2;

    /// <summary>Number of threads of tensor operations; rounding may depend on it.</summary>
    public const string ThreadsKey = "threads";

    /// <summary>Reads a run's manifest.</summary>
    /// <exception cref="RunException">The file is damaged or of another layout.</exception>
    public static RunManifest Read(RunFolder folder)
    {
        var path = folder.At(RunFolder.RunFile);
        RunManifest? manifest;
        try
        {
            manifest = JsonSerializer.Deserialize<RunManifest>(File.ReadAllBytes(path), RunJson.Indented);
        }
        catch (JsonException e)
        {
            throw new RunException(path, "is not a run's manifest.", "Delete the run folder and start again.", e);
        }
        if (manifest is { Format: CurrentFormat, Inputs: not null, Environment: not null }) return manifest;
        throw new RunException(path, "was written by another version.", "Go on with that version, or delete the run folder and start again.");
    }

    /// <summary>Writes the manifest; the folder holds a run from then on.</summary>
    public void Write(RunFolder folder) => folder.Write(RunFolder.RunFile, JsonSerializer.Serialize(this, RunJson.Indented) + "\n");

    /// <summary>Refuses to go on where something that decides the result has changed.</summary>
    /// <exception cref="RunException">The differences, each with key, old and new value.</exception>
    public void RequireSame(RunFolder folder, SortedDictionary<string, string> inputs)
    {
        var differences = RunInputs.Differences(Inputs, inputs);
        if (differences.Count == 0) return;
        throw new RunException(
            folder.Path,
            $"was begun with other inputs: {string.Join("; ", differences)}.",
            "Restore what has changed, or begin a new run with --output.");
    }
}
