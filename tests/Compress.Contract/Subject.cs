using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Statistics;
using Xunit;
using static TorchSharp.torch;

namespace Compress.Contract;

/// <summary>A method with one choice of its main options, and small layers to try it on.</summary>
internal sealed class Subject
{
    private const int Rows = 24, Columns = 64;

    private readonly MethodInfo method;
    private readonly (string Option, object Value)[] choice;

    private Subject(MethodInfo method, params (string Option, object Value)[] choice)
    {
        this.method = method;
        this.choice = choice;
    }

    public string Name => $"{method.Attribute.Name} {string.Join(", ", choice.Select(c => FormattableString.Invariant($"{c.Option} {c.Value}")))}";

    private double? Sparsity => choice.Where(c => c.Option == "Sparsity").Select(c => (double?)c.Value).FirstOrDefault()
        ?? choice.Where(c => c.Value is Pattern).Select(c => ((Pattern)c.Value).Sparsity).FirstOrDefault();

    /// <summary>The choices that a method's options allow: shares and patterns for pruning, bits and group sizes for quantizing.</summary>
    public static IEnumerable<Subject> VariantsOf(MethodInfo method)
    {
        var options = method.OptionsType;
        if (options.GetProperty("Sparsity") is not null)
        {
            yield return new Subject(method, ("Sparsity", 0.5));
            yield return new Subject(method, ("Sparsity", 0.25));
        }
        if (options.GetProperty("Pattern") is not null) yield return new Subject(method, ("Pattern", Pattern.Of(2, 4)));
        if (options.GetProperty("Bits") is null) yield break;
        if (options.GetProperty("GroupSize") is null)
        {
            for (var bits = 2; bits <= 4; bits++) yield return new Subject(method, ("Bits", bits));
            yield break;
        }
        foreach (var (bits, groupSize) in new[] { (4, 16), (3, -1), (2, 48) })
            yield return new Subject(method, ("Bits", bits), ("GroupSize", groupSize));
        foreach (var flag in options.GetProperties().Where(p => p.PropertyType == typeof(bool) && p.Name != "PerTensor"))
            yield return new Subject(method, ("Bits", 4), ("GroupSize", 16), (flag.Name, true));
    }

    public ILinearMethod Create()
    {
        var options = Activator.CreateInstance(method.OptionsType)!;
        foreach (var (option, value) in choice) method.OptionsType.GetProperty(option)!.SetValue(options, value);
        return (ILinearMethod)method.Create(options);
    }

    /// <summary>Compresses a layer, which callers may have spoilt.</summary>
    public LinearResult Run(
        Action<Tensor>? weights = null, Action<Tensor>? inputs = null, int tokens = 100, Tensor? mask = null,
        ScalarType inputType = ScalarType.Float32, SiteLog? log = null)
    {
        var w = randn(Rows, Columns, generator: new Generator(1)) * 0.05;
        var x = randn(tokens, Columns, generator: new Generator(2));
        weights?.Invoke(w);
        inputs?.Invoke(x);
        using var statistics = Gather(x.to(inputType));
        return Apply(w, mask, statistics.Set, log ?? new SiteLog());
    }

    public Gathered Gather(Tensor x)
    {
        using (x)
        {
            var statistics = Create().Needs.Types.Select(t => (Statistic)Activator.CreateInstance(t, Columns, CPU)!).ToList();
            foreach (var statistic in statistics) statistic.Accumulate(x, 1);
            return new Gathered(statistics);
        }
    }

    public LinearResult Apply(Tensor w, Tensor? mask, StatisticsSet statistics, SiteLog log)
    {
        var one = Create();
        var view = new LinearView("site", SiteRole.Up, w, mask, 7);
        while (one is ISurveyingMethod surveying && surveying.BeginSurvey()) surveying.Survey(view);
        return one.Apply(view, statistics, log);
    }

    /// <summary>What every result must be; where nothing in the layer prevents it, exactly the share or bits that were asked for.</summary>
    public void Expect(LinearResult result, bool exact)
    {
        Assert.Equal([Rows, Columns], result.Weight.shape);
        Assert.Equal(ScalarType.Float32, result.Weight.dtype);
        Assert.True(result.Weight.isfinite().all().item<bool>());
        if (Sparsity is { } sparsity)
        {
            var zeros = result.Weight.eq(0).sum(ScalarType.Int64).item<long>();
            var asked = (long)(Rows * Columns * sparsity);
            Assert.InRange(zeros, asked, exact ? asked : Rows * Columns);
        }
        if (method.Attribute.Kind != StageKind.Quantize) return;
        var encoded = result.Encoded!;
        Assert.Equal((Rows, Columns, choice.Single(c => c.Option == "Bits").Value), (encoded.Rows, encoded.Columns, encoded.CodeBits!.Value));
        if (result.Quantized is { } q)
        {
            Assert.All(q.Codes, code => Assert.InRange(code, 0, (1 << q.Bits) - 1));
            Assert.All(q.Scales, scale => Assert.True(scale > 0 && float.IsFinite(scale)));
            if (q.Symmetric) Assert.All(q.Zeros, zero => Assert.Equal(1 << (q.Bits - 1), zero));
        }
        var decoded = new float[Columns];
        for (var row = 0; row < Rows; row++)
        {
            encoded.DecodeRow(row, decoded);
            Assert.Equal(decoded, result.Weight[row].data<float>().ToArray());
        }
    }
}

/// <summary>Statistics that a method asked for, owned.</summary>
internal sealed class Gathered(List<Statistic> statistics) : IDisposable
{
    public StatisticsSet Set { get; } = new(statistics);

    public void Dispose() => statistics.ForEach(s => s.Dispose());
}
