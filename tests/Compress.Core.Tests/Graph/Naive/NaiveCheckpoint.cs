using System.Text.Json.Nodes;

namespace Compress.Core.Tests.Graph.Naive;

/// <summary>Configuration and stored values as a naive forward reads them.</summary>
internal sealed class NaiveCheckpoint(JsonObject config, IReadOnlyDictionary<string, float[]> values)
{
    public JsonObject Config { get; } = config;

    public double[] this[string name] => [.. values[name].Select(v => (double)v)];

    public double[]? Find(string name) => values.ContainsKey(name) ? this[name] : null;

    public int Int(string key) => (int)Config[key]!;

    public double Double(string key) => (double)Config[key]!;

    /// <summary>Rows of a table.</summary>
    public double[][] Rows(string name, IEnumerable<int> rows, int width)
    {
        var table = this[name];
        return [.. rows.Select(r => table[(r * width)..((r + 1) * width)])];
    }
}
