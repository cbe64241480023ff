using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Where a parameter of the smaller model comes from.</summary>
/// <param name="Old">Name in the larger model; null for zeros.</param>
/// <param name="Rows">Rows that remain; null for all.</param>
/// <param name="Columns">Columns that remain; null for all.</param>
/// <param name="Factor">Factor on norm scales.</param>
/// <param name="Offset">What the norm adds to its stored scale.</param>
internal sealed record CutParameter(string? Old, int[]? Rows, int[]? Columns = null, double Factor = 1, double Offset = 0);

/// <summary>Lists where every parameter of a smaller model comes from.</summary>
internal sealed class CutParameters
{
    private readonly Dictionary<string, CutParameter> found = new(StringComparer.Ordinal);
    private readonly int[]? hidden;
    private readonly double normFactor;

    private CutParameters(ModelSpec old, CutSet cut)
    {
        hidden = cut.Hidden.Length == old.HiddenSize ? null : cut.Hidden;
        normFactor = Math.Sqrt((double)old.HiddenSize / cut.Hidden.Length);
    }

    public static Dictionary<string, CutParameter> Of(ModelSpec old, ModelSpec spec, CutSet cut, int[] kept)
    {
        var map = new CutParameters(old, cut);
        map.found.Add(spec.Embedding.Tokens, new(old.Embedding.Tokens, null, map.hidden));
        if (spec.Embedding.Positions is { } positions) map.found.Add(positions, new(old.Embedding.Positions!, null, map.hidden));
        for (var i = 0; i < kept.Length; i++) map.Block(old.Blocks[kept[i]], spec.Blocks[i], cut, kept[i]);
        map.Norm(old.FinalNorm, spec.FinalNorm);
        if (!spec.Head.Tied) map.Linear(old.Head.Linear, spec.Head.Linear, null, map.hidden);
        else if (spec.Head.Linear.Bias is not null) map.Bias(old.Head.Linear, spec.Head.Linear, null);
        return map.found;
    }

    private void Block(BlockSpec old, BlockSpec spec, CutSet cut, int index)
    {
        Norm(old.AttentionNorm, spec.AttentionNorm);
        Norm(old.AttentionOutputNorm, spec.AttentionOutputNorm);
        Norm(old.MlpNorm, spec.MlpNorm);
        Norm(old.MlpOutputNorm, spec.MlpOutputNorm);
        if (spec.Attention is { } attention) Attention(old.Attention!, attention, cut.Heads(index));
        if (spec.Mlp is not { } mlp) return;
        var channels = cut.Channels(index);
        if (mlp.Gate is { } gate) Linear(old.Mlp!.Gate!, gate, channels, hidden);
        Linear(old.Mlp!.Up, mlp.Up, channels, hidden);
        Linear(old.Mlp.Down, mlp.Down, hidden, channels);
    }

    private void Attention(AttentionSpec old, AttentionSpec spec, int[] heads)
    {
        var queries = Expand(heads, old.Heads / old.KeyValueHeads * old.HeadSize);
        var keys = Expand(heads, old.HeadSize);
        Linear(old.Query, spec.Query, queries, hidden);
        Linear(old.Key, spec.Key, keys, hidden);
        Linear(old.Value, spec.Value, keys, hidden);
        Linear(old.Output, spec.Output, hidden, queries);
        HeadNorm(old.QueryNorm, spec.QueryNorm);
        HeadNorm(old.KeyNorm, spec.KeyNorm);
    }

    private static int[] Expand(int[] indices, int size) => [.. indices.SelectMany(i => Enumerable.Range(i * size, size))];

    private void Linear(LinearSpec old, LinearSpec spec, int[]? rows, int[]? columns)
    {
        found.Add(ParameterNames.Weight(spec), new(ParameterNames.Weight(old), rows, columns));
        if (spec.Bias is null) return;
        if (old.Bias is null) found.Add(ParameterNames.Bias(spec), new(null, null));
        else Bias(old, spec, rows);
    }

    private void Bias(LinearSpec old, LinearSpec spec, int[]? rows) =>
        found.Add(ParameterNames.Bias(spec), new(ParameterNames.Bias(old), rows));

    private void Norm(NormSpec? old, NormSpec? spec)
    {
        var factor = spec?.Kind == NormKind.Rms && hidden is not null ? normFactor : 1;
        if (spec?.Weight is { } weight) found.Add(weight, new(old!.Weight!, hidden, Factor: factor, Offset: spec.WeightOffset));
        if (spec?.Bias is { } bias) found.Add(bias, new(old!.Bias!, hidden));
    }

    private void HeadNorm(NormSpec? old, NormSpec? spec)
    {
        if (spec?.Weight is { } weight) found.Add(weight, new(old!.Weight!, null));
        if (spec?.Bias is { } bias) found.Add(bias, new(old!.Bias!, null));
    }
}

/// <summary>Reads a smaller model's parameters out of the larger one's.</summary>
internal sealed class CutReader(IReadOnlyDictionary<string, CutParameter> parameters, IEnumerable<(string Name, torch.Tensor Value)> old)
    : IWeightReader
{
    private readonly Dictionary<string, torch.Tensor> values = old.ToDictionary(p => p.Name, p => p.Value, StringComparer.Ordinal);

    public Parameter Table(string name, long rows, long columns) => Read(name);

    public Parameter NormWeight(NormSpec spec, long size) => Read(spec.Weight!);

    public Parameter NormBias(NormSpec spec, long size) => Read(spec.Bias!);

    public Parameter Weight(LinearSpec spec, SiteRole role) => Read(ParameterNames.Weight(spec));

    public Parameter Bias(LinearSpec spec)
    {
        var name = ParameterNames.Bias(spec);
        if (parameters[name].Old is not null) return Read(name);
        var like = values.Values.First();
        return new Parameter(name, torch.zeros(spec.OutFeatures, like.dtype, like.device));
    }

    private Parameter Read(string name)
    {
        using var scope = torch.NewDisposeScope();
        var cut = parameters[name];
        var value = values[cut.Old!].detach();
        var result = value;
        if (cut.Rows is { } rows) result = result.index_select(0, torch.tensor(rows, torch.int64, value.device));
        if (cut.Columns is { } columns) result = result.index_select(1, torch.tensor(columns, torch.int64, value.device));
        if (cut.Factor != 1)
        {
            var wide = Precision.Wide(value.dtype);
            result = ((result.to(wide) + cut.Offset) * cut.Factor - cut.Offset).to(value.dtype);
        }
        // detach shares memory; the smaller graph owns its own.
        return new Parameter(name, (ReferenceEquals(result, value) ? value.clone() : result).MoveToOuterDisposeScope());
    }
}
