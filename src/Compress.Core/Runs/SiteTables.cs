using System.Text.Json;
using System.Text.Json.Serialization;
using Parquet.Serialization;

namespace Compress.Core.Runs;

/// <summary>Writes the reports of all sites as <c>sites.json</c> and <c>sites.parquet</c>; the same reports give the same bytes.</summary>
internal static class SiteTables
{
    /// <summary>Writes both files.</summary>
    public static void Write(RunFolder folder, IReadOnlyList<SiteReport> sites)
    {
        folder.Write("sites.json", JsonSerializer.Serialize(sites, RunJson.Indented) + "\n");
        folder.Write("sites.parquet", stream => ParquetSerializer.SerializeAsync(sites.Select(Row.Of).ToList(), stream).GetAwaiter().GetResult());
    }

    /// <summary>A report as a flat row: enumerations as text, notes joined.</summary>
    internal sealed record Row
    {
        [JsonPropertyName("stage")]
        public int Stage { get; init; }

        [JsonPropertyName("method")]
        public string Method { get; init; } = "";

        [JsonPropertyName("site")]
        public string Site { get; init; } = "";

        [JsonPropertyName("role")]
        public string Role { get; init; } = "";

        [JsonPropertyName("block")]
        public int? Block { get; init; }

        [JsonPropertyName("rows")]
        public int Rows { get; init; }

        [JsonPropertyName("columns")]
        public int Columns { get; init; }

        [JsonPropertyName("zeros")]
        public double Zeros { get; init; }

        [JsonPropertyName("bits")]
        public int? Bits { get; init; }

        [JsonPropertyName("group_size")]
        public int? GroupSize { get; init; }

        [JsonPropertyName("bits_per_weight")]
        public double? BitsPerWeight { get; init; }

        [JsonPropertyName("weight_error")]
        public double WeightError { get; init; }

        [JsonPropertyName("output_error")]
        public double? OutputError { get; init; }

        [JsonPropertyName("rung")]
        public string Rung { get; init; } = "";

        [JsonPropertyName("damping")]
        public double? Damping { get; init; }

        [JsonPropertyName("dead_columns")]
        public int DeadColumns { get; init; }

        [JsonPropertyName("loss")]
        public double? Loss { get; init; }

        [JsonPropertyName("notes")]
        public string Notes { get; init; } = "";

        public static Row Of(SiteReport report) => new()
        {
            Stage = report.Stage,
            Method = report.Method,
            Site = report.Site,
            Role = Name(report.Role),
            Block = report.Block,
            Rows = report.Rows,
            Columns = report.Columns,
            Zeros = report.Zeros,
            Bits = report.Bits,
            GroupSize = report.GroupSize,
            BitsPerWeight = report.BitsPerWeight,
            WeightError = report.WeightError,
            OutputError = report.OutputError,
            Rung = Name(report.Rung),
            Damping = report.Damping,
            DeadColumns = report.DeadColumns,
            Loss = report.Loss,
            Notes = string.Join(' ', report.Notes),
        };

        private static string Name<T>(T value) where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
    }
}
