using Compress.Core.Methods;
using Compress.Core.Recipes;
using Compress.Core.Statistics;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;

namespace Compress.Core.Tests.Recipes;

/// <summary>Methods that exist for tests of the recipe alone: they declare options and compute nothing.</summary>
internal static class TestMethods
{
    public static MethodCatalogue Catalogue { get; } = MethodCatalogue.OfTypes(typeof(TestWanda), typeof(TestGptq), typeof(TestRtn));

    public static LinearResult Copy(LinearView site) => new(site.Weight.clone());
}

public enum TestFlavour
{
    AbsMax,
    MinMax,
}

[Method("wanda", StageKind.Prune, Summary = "Prunes.", Paper = "none")]
public sealed class TestWanda(TestWanda.Options options) : ILinearMethod
{
    public sealed record Options
    {
        [Between(0, 1)]
        public required double Sparsity { get; init; }

        public string? Pattern { get; init; }
    }

    public Options Given => options;

    public Needs Needs => Needs.Nothing;

    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log) => TestMethods.Copy(site);
}

[Method("gptq", StageKind.Quantize, Summary = "Quantizes.", Paper = "none")]
public sealed class TestGptq(TestGptq.Options options) : ILinearMethod
{
    public sealed record Options
    {
        [Between(2, 8)]
        public int Bits { get; init; } = 4;

        [Between(1, 65536)]
        public int? GroupSize { get; init; } = 128;

        public bool ActivationOrder { get; init; }

        public double Damping { get; init; } = 0.01;

        public TestFlavour Flavour { get; init; } = TestFlavour.MinMax;
    }

    public Needs Needs => Needs.Of<TestStatistic>();

    public string? Unfit(SiteShape site) => options.GroupSize is { } g && site.InFeatures % g != 0
        ? $"group_size {g} does not divide its {site.InFeatures} columns." : null;

    public SiteOutlook Outlook(SiteShape site) =>
        new(Encoding: new QuantizationScheme(options.Bits, options.GroupSize, Symmetric: true, ActivationOrder: false, ElementType.F16));

    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log) => TestMethods.Copy(site);
}

[Method("rtn", StageKind.Quantize, Summary = "Rounds.", Paper = "none")]
public sealed class TestRtn(TestRtn.Options options) : ILinearMethod
{
    public sealed record Options
    {
        [Between(2, 8)]
        public int Bits { get; init; } = 4;

    }

    public Needs Needs => Needs.Nothing;

    public SiteOutlook Outlook(SiteShape site) =>
        new(Encoding: new QuantizationScheme(options.Bits, 36, Symmetric: true, ActivationOrder: false, ElementType.F16));

    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log) => TestMethods.Copy(site);
}

internal sealed class TestStatistic(int features) : Statistic
{
    public int Features => features;

    public override void Accumulate(TorchSharp.torch.Tensor x, int sequences)
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
