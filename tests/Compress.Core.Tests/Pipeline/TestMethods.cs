using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using static TorchSharp.torch;

namespace Compress.Core.Tests.Pipeline;

/// <summary>Half of each row by weight times input norm, in the plainest way.</summary>
[Method("plain_wanda", StageKind.Prune, Summary = "Prunes.", Paper = "none")]
public sealed class PlainWanda(PlainWanda.Options options) : ILinearMethod
{
    public sealed record Options
    {
        public double Sparsity { get; init; } = 0.5;

        public bool TrueSequential { get; init; }
    }

    /// <summary>The channel norms that each site saw, by site; cleared by tests.</summary>
    public static Dictionary<string, float[]> Seen { get; } = [];

    public Needs Needs => Needs.Of<ColumnNorms>();

    public bool TrueSequential => options.TrueSequential;

    public SiteOutlook Outlook(SiteShape site) => new(Sparsity: options.Sparsity);

    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        using var scope = NewDisposeScope();
        var norms = statistics.Get<ColumnNorms>().ScalerRow();
        lock (Seen) Seen[site.Name] = norms.data<float>().ToArray();
        var score = site.Weight.abs() * norms.sqrt();
        var keep = score.argsort(-1).argsort(-1).ge((long)(site.Weight.shape[1] * options.Sparsity));
        return new LinearResult((site.Weight * keep.to(ScalarType.Float32)).MoveToOuterDisposeScope());
    }
}

/// <summary>Four bits, symmetric around the middle code, groups of 16; needs the Hessian for nothing but to need it.</summary>
[Method("plain_rtn", StageKind.Quantize, Summary = "Rounds.", Paper = "none")]
public sealed class PlainRtn(PlainRtn.Options options) : ILinearMethod
{
    public sealed record Options
    {
        public int GroupSize { get; init; } = 16;

        public bool Calibrated { get; init; } = true;
    }

    public Needs Needs => options.Calibrated ? Needs.Of<Hessian>() : Needs.Nothing;

    public SiteOutlook Outlook(SiteShape site) => new(Encoding: new QuantizationScheme(4, options.GroupSize, true, false, ElementType.F16));

    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        var (rows, columns) = ((int)site.Weight.shape[0], (int)site.Weight.shape[1]);
        var groups = (columns + options.GroupSize - 1) / options.GroupSize;
        var values = site.Weight.data<float>().ToArray();
        var (codes, scales, zeros) = (new byte[values.Length], new float[rows * groups], new int[rows * groups]);
        Array.Fill(zeros, 8);
        for (var r = 0; r < rows; r++)
        {
            for (var g = 0; g < groups; g++)
            {
                var group = Enumerable.Range(g * options.GroupSize, Math.Min(options.GroupSize, columns - (g * options.GroupSize))).ToList();
                var scale = (float)(Half)Math.Max(group.Max(c => Math.Abs(values[(r * columns) + c])) / 7, 1e-6f);
                scales[(r * groups) + g] = scale;
                foreach (var c in group) codes[(r * columns) + c] = (byte)(8 + Math.Clamp((int)Math.Round(values[(r * columns) + c] / scale), -8, 7));
            }
        }
        var quantized = new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = 4,
            GroupSize = options.GroupSize,
            Symmetric = true,
            Codes = codes,
            Scales = scales,
            Zeros = zeros,
            ScaleType = ElementType.F16,
        };
        var decoded = new float[values.Length];
        for (var r = 0; r < rows; r++) quantized.DecodeRow(r, decoded.AsSpan(r * columns, columns));
        log.Loss = site.Seed;
        return new LinearResult(tensor(decoded, [rows, columns]), quantized);
    }
}

/// <summary>Global magnitude in two passes, to test surveys.</summary>
[Method("plain_global", StageKind.Prune, Summary = "Prunes.", Paper = "none")]
public sealed class PlainGlobal(PlainGlobal.Options options) : ISurveyingMethod
{
    private readonly List<float> magnitudes = [];
    private int passes;

    public sealed record Options
    {
        public double Sparsity { get; init; } = 0.5;
    }

    public Needs Needs => Needs.Nothing;

    public bool BeginSurvey() => passes++ == 0;

    public void Survey(LinearView site) => magnitudes.AddRange(site.Weight.abs().data<float>().ToArray());

    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        using var scope = NewDisposeScope();
        var threshold = magnitudes.Order().ElementAt((int)(magnitudes.Count * options.Sparsity));
        return new LinearResult((site.Weight * site.Weight.abs().ge(threshold).to(ScalarType.Float32)).MoveToOuterDisposeScope());
    }
}

/// <summary>Scales channels by what their numbers say and leaves the scaled weights as they are.</summary>
[Method("plain_scaling", StageKind.Quantize, Summary = "Scales.", Paper = "none")]
public sealed class PlainScaling(PlainScaling.Options options) : IScalingMethod
{
    public sealed record Options
    {
        public int SearchWindows { get; init; } = 3;
    }

    /// <summary>For each place, its first reader, and the errors with scaled and with halved weights; cleared by tests.</summary>
    public static List<(string Reader, double Scaled, double Halved)> Seen { get; } = [];

    public Needs Needs => Needs.Of<ColumnNorms>();

    public int SearchWindows => options.SearchWindows;

    public int Trials => 2;

    public Tensor? Scales(ScaleView view, SiteLog log)
    {
        using var scope = NewDisposeScope();
        var scales = (2 * arange(view.Magnitudes().shape[0], ScalarType.Float32).sin()).exp();
        var columns = view.Spread(scales);
        var scaled = view.Error([.. view.Sites.Select(s => s.Weight * columns / columns)]);
        var halved = view.Error([.. view.Sites.Select(s => s.Weight / 2)]);
        lock (Seen) Seen.Add((view.Sites[0].Name, scaled, halved));
        log.Notes.Add("Scaled.");
        return scales.MoveToOuterDisposeScope();
    }

    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log) => new(site.Weight.clone());
}
