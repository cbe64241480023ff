using System.Xml.Linq;
using Compress.Core.Gates;
using Compress.Core.Tests.Runs;

namespace Compress.Core.Tests.Gates;

public sealed class GateBaselineTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private static GateMeasurement Measured(double perplexity = 10, double agreement = 0.9, double bytes = 1000, string text = "sha of a text")
    {
        var result = new GateMeasurement();
        result.Metrics["t: perplexity"] = new GateMetric(perplexity, StandardError: 0.3);
        result.Metrics["t: same top token"] = new GateMetric(agreement, null, HigherIsBetter: true);
        result.Metrics["m: bytes"] = new GateMetric(bytes);
        result.Conditions["t"] = text;
        return result;
    }

    private static string[] Failed(GateBaseline baseline, GateMeasurement now) =>
        [.. baseline.Compare("b.json", now).Where(v => !v.Passed).Select(v => v.Name)];

    [Fact]
    public void Only_a_change_for_the_worse_beyond_the_tolerance_fails_and_the_worst_comes_first()
    {
        var baseline = GateBaseline.Of(Measured(), null);
        Assert.Empty(Failed(baseline, Measured()));
        Assert.Empty(Failed(baseline, Measured(perplexity: 10.09, agreement: 0.885, bytes: 1001)));
        Assert.Empty(Failed(baseline, Measured(perplexity: 5, agreement: 1, bytes: 10)));
        Assert.Equal(["t: perplexity"], Failed(baseline, Measured(perplexity: 10.11)));
        Assert.Equal(["t: same top token"], Failed(baseline, Measured(agreement: 0.88)));
        Assert.Equal(["m: bytes", "t: perplexity", "t: same top token"], Failed(baseline, Measured(perplexity: 11, agreement: 0.88, bytes: 2000)));
        Assert.Equal(["t: perplexity"], Failed(baseline, Measured(perplexity: double.NaN)));
    }

    [Fact]
    public void A_number_that_is_not_measured_any_more_fails_and_a_new_one_does_not()
    {
        var now = Measured();
        now.Metrics.Remove("m: bytes");
        now.Metrics["new: bytes"] = new GateMetric(1);
        var verdict = Assert.Single(GateBaseline.Of(Measured(), null).Compare("b.json", now), v => !v.Passed);
        Assert.Equal("m: bytes was 1000 and is not measured any more", JUnitReport.Sentence(verdict));
    }

    [Fact]
    public void Tolerances_of_people_stay_and_may_count_standard_errors()
    {
        var file = folder.At("b.json");
        GateBaseline.Of(Measured(), null).Write(file);
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"relative\": 0.01,\n      \"standard_errors\": 0", "\"relative\": 0.05,\n      \"standard_errors\": 2"));
        var edited = GateBaseline.Read(file);
        Assert.Equal(new GateLimit(10, 0.05, 2), edited.Metrics["t: perplexity"]);
        // 5 % of 10 and two standard errors of 0.3.
        Assert.Empty(Failed(edited, Measured(perplexity: 11.09)));
        Assert.Single(Failed(edited, Measured(perplexity: 11.11)));
        Assert.Equal(new GateLimit(12, 0.05, 2), GateBaseline.Of(Measured(perplexity: 12), edited).Metrics["t: perplexity"]);
    }

    [Fact]
    public void Numbers_of_another_text_are_not_compared()
    {
        var e = Assert.Throws<GateException>(() => GateBaseline.Of(Measured(), null).Compare("b.json", Measured(text: "sha of another")));
        Assert.Contains("cannot be compared", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "is not a baseline")]
    [InlineData("null", "is not a baseline")]
    [InlineData("{}", "is not a baseline")]
    [InlineData("""{"format": 2, "conditions": {}, "metrics": {}}""", "its format is 2, not 1")]
    [InlineData("""{"format": 1, "conditions": {}, "metrics": {"a": null}}""", "the tolerances of \"a\"")]
    [InlineData("""{"format": 1, "conditions": {}, "metrics": {"a": {"value": 1, "relative": -1}}}""", "the tolerances of \"a\"")]
    [InlineData("""{"format": 1, "conditions": null, "metrics": {}}""", "is not a baseline")]
    public void A_malformed_baseline_is_refused(string text, string problem)
    {
        File.WriteAllText(folder.At("b.json"), text);
        Assert.Contains(problem, Assert.Throws<GateException>(() => GateBaseline.Read(folder.At("b.json"))).Message, StringComparison.Ordinal);
        Assert.Contains("--update", Assert.Throws<GateException>(() => GateBaseline.Read(folder.At("none.json"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Verdicts_become_JUnit_tests()
    {
        using var stream = new MemoryStream();
        JUnitReport.Write(stream, "a \u0001 \"model\"", GateBaseline.Of(Measured(), null).Compare("b.json", Measured(perplexity: 12)));
        stream.Position = 0;
        var suite = XDocument.Load(stream).Root!;
        Assert.Equal(("3", "1"), (suite.Attribute("tests")!.Value, suite.Attribute("failures")!.Value));
        var failure = Assert.Single(suite.Elements("testcase"), c => c.Element("failure") is not null);
        Assert.Contains("20.00 % worse, allowed 1.00 %", failure.Element("failure")!.Attribute("message")!.Value, StringComparison.Ordinal);
    }
}
