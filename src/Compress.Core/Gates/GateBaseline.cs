using System.Text.Json;
using Compress.Core.Runs;
using Compress.Formats;

namespace Compress.Core.Gates;

/// <summary>A committed file of numbers that later measurements are held to. People edit its tolerances; <c>--update</c> keeps them.</summary>
public sealed record GateBaseline
{
    private const int CurrentFormat = 1;
    private const long LargestFile = 64 << 20;

    /// <summary>Version of the file's layout.</summary>
    public required int Format { get; init; }

    /// <summary>What the numbers depend on.</summary>
    public required SortedDictionary<string, string> Conditions { get; init; }

    /// <summary>The numbers with their tolerances.</summary>
    public required SortedDictionary<string, GateLimit> Metrics { get; init; }

    /// <summary>A baseline of a measurement.</summary>
    /// <param name="measured">The measurement.</param>
    /// <param name="earlier">The baseline that it replaces, whose tolerances stay; null for the defaults.</param>
    public static GateBaseline Of(GateMeasurement measured, GateBaseline? earlier)
    {
        var limits = new SortedDictionary<string, GateLimit>(StringComparer.Ordinal);
        foreach (var (name, metric) in measured.Metrics)
        {
            var tolerances = earlier?.Metrics.GetValueOrDefault(name) ?? new GateLimit(0, DefaultTolerance(name));
            limits[name] = tolerances with { Value = metric.Value, HigherIsBetter = metric.HigherIsBetter };
        }
        return new GateBaseline { Format = CurrentFormat, Conditions = measured.Conditions, Metrics = limits };
    }

    /// <summary>Reads a baseline.</summary>
    /// <exception cref="GateException">The file is missing or malformed.</exception>
    public static GateBaseline Read(string file)
    {
        try
        {
            if (new FileInfo(file).Length > LargestFile) throw new JsonException("it is too large");
            using var stream = File.OpenRead(file);
            var baseline = JsonSerializer.Deserialize<GateBaseline>(stream, RunJson.Indented) ?? throw new JsonException("it is null");
            if (baseline.Format != CurrentFormat) throw new JsonException($"its format is {baseline.Format}, not {CurrentFormat}");
            if (baseline.Conditions is null || baseline.Metrics is null) throw new JsonException("a section is null");
            if (baseline.Metrics.FirstOrDefault(m => m.Value is not { Relative: >= 0, StandardErrors: >= 0 }) is { Key: { } wrong })
                throw new JsonException($"the tolerances of \"{wrong}\" are not numbers from 0 on");
            return baseline;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new GateException(file, "there is no such baseline.", "Write one with --update.", e);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new GateException(file, $"is not a baseline ({e.Message.TrimEnd('.')}).", "Write it anew with --update.", e);
        }
    }

    /// <summary>Writes the file; it appears whole or not at all.</summary>
    /// <exception cref="ModelFileException">It cannot be written.</exception>
    public void Write(string file) => AtomicFile.WriteText(file, JsonSerializer.Serialize(this, RunJson.Indented) + "\n");

    /// <summary>Compares a measurement: failures first, numbers of the whole model before those of single sites, the worst first.</summary>
    /// <param name="file">The baseline's file, for messages.</param>
    /// <param name="measured">The measurement.</param>
    /// <exception cref="GateException">Another text, protocol or window was measured.</exception>
    public IReadOnlyList<GateVerdict> Compare(string file, GateMeasurement measured)
    {
        foreach (var (name, condition) in Conditions)
        {
            if (measured.Conditions.TryGetValue(name, out var now) && now != condition)
            {
                throw new GateException(file, $"{name} was measured on {condition}, and now on {now}: these numbers cannot be compared.",
                    "Measure as before, or write the baseline anew with --update.");
            }
        }
        return [.. Metrics.Select(m => Compare(m.Key, m.Value, measured.Metrics.GetValueOrDefault(m.Key)))
            .OrderBy(v => v.Measured is not null)
            .ThenBy(v => v.Passed)
            .ThenBy(v => v.Name.StartsWith(GateMeasurement.SitePrefix, StringComparison.Ordinal))
            .ThenByDescending(v => v.RelativeChange)];
    }

    private static GateVerdict Compare(string name, GateLimit limit, GateMetric? now)
    {
        var allowed = limit.Relative * Math.Abs(limit.Value) + limit.StandardErrors * (now?.StandardError ?? 0);
        var change = now is null ? 0 : limit.HigherIsBetter ? limit.Value - now.Value : now.Value - limit.Value;
        return new GateVerdict(name, limit.Value, now?.Value, allowed, change);
    }

    /// <summary>Rounding differs between machines, and GPTQ amplifies it; what is more than that is a change of the program or the model.</summary>
    private static double DefaultTolerance(string name)
    {
        var kind = name[(name.LastIndexOf(": ", StringComparison.Ordinal) + 2)..];
        return kind switch
        {
            "perplexity" => 0.01,
            "KL divergence" => 0.05,
            "same top token" => 0.02,
            "bytes" => 0.001,
            "output error" or "weight error" => 0.1,
            _ => 0.2,
        };
    }
}
