using System.Text.Json.Nodes;
using Compress.Formats;
using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Cuts coupled groups out of a model: the smaller configuration, and the smaller graph from the larger one.</summary>
/// <remarks>
/// <para>The smaller model's logits equal those of the graph in which the groups are zero (<see cref="CoupledGroups.Mask(ModelGraph, IEnumerable{CoupledGroup})"/>).</para>
/// <para>
/// Hidden dimensions: with RMS norms that holds too. The zeros of the masked graph still count in its mean square, so norm scales
/// are multiplied by <c>√(old size / new size)</c> and epsilon by <c>old size / new size</c>; both then give the same numbers. A layer norm
/// subtracts a mean that the zeros pull along, which no scale repairs: there the smaller model equals the masked one whose norms take
/// mean and variance over the remaining dimensions only.
/// </para>
/// <para>
/// All heads or channels of a sublayer cannot be cut one by one: what remains would be its output bias. Cut the sublayer.
/// </para>
/// </remarks>
public sealed class CoupledRemoval
{
    private readonly ModelSpec old;
    private readonly Dictionary<string, CutParameter> parameters;

    private CoupledRemoval(ModelSpec old, JsonObject config, ModelSpec spec, Dictionary<string, CutParameter> parameters, int[] kept)
    {
        this.old = old;
        this.parameters = parameters;
        Config = config;
        Spec = spec;
        KeptBlocks = kept;
    }

    /// <summary>The smaller model's <c>config.json</c>.</summary>
    public JsonObject Config { get; }

    /// <summary>The smaller model.</summary>
    public ModelSpec Spec { get; }

    /// <summary>Which block of the larger model each block was.</summary>
    public IReadOnlyList<int> KeptBlocks { get; }

    /// <summary>Plans a removal; no weight is needed.</summary>
    /// <param name="config">The larger model's <c>config.json</c>.</param>
    /// <param name="spec">What was read from it.</param>
    /// <param name="groups">What to cut; a group that lies within another one may be given too.</param>
    /// <param name="outputBiases">True: the smaller model has biases on attention's and the MLP's outputs, zero where the larger has none.</param>
    /// <exception cref="ArgumentOutOfRangeException">The model has no such group.</exception>
    /// <exception cref="ModelFileException">Nothing would remain, or the family cannot do without the groups.</exception>
    public static CoupledRemoval Plan(JsonObject config, ModelSpec spec, IEnumerable<CoupledGroup> groups, bool outputBiases = false)
    {
        var cut = new CutSet(spec, groups);
        var shapes = SmallerConfig.Shapes(config, spec);
        int[] kept = [.. Enumerable.Range(0, spec.Blocks.Length).Where(b => cut.Keeps(b))];
        if (kept.Length == 0) throw new ModelFileException("config.json", "all blocks would be removed.", "Keep one block at the least.");
        var smaller = SmallerConfig.Make(config, spec, cut.Hidden.Length, [.. kept.Select(b => cut.Shape(b, shapes[b]))]);
        if (outputBiases) smaller = SmallerConfig.WithOutputBiases(smaller.Config, smaller.Spec);
        return new CoupledRemoval(spec, smaller.Config, smaller.Spec, CutParameters.Of(spec, smaller.Spec, cut, kept), kept);
    }

    /// <summary>The smaller graph; the larger one stays as it is.</summary>
    /// <param name="graph">Borrowed graph of the larger model.</param>
    /// <returns>A graph that owns its tensors, in the types and on the device of the larger one.</returns>
    public ModelGraph Apply(ModelGraph graph)
    {
        Check(graph.Spec);
        using var _ = torch.no_grad();
        return new ModelGraph(Spec, new CutReader(parameters, graph.NamedParameters)) { ComputeType = graph.ComputeType };
    }

    /// <summary>One block of the smaller model, for models that pass through memory block by block.</summary>
    /// <param name="block">Borrowed block <c>KeptBlocks[index]</c> of the larger model.</param>
    /// <param name="index">The block's index in the smaller model.</param>
    /// <param name="tables">Tables shared with other blocks, borrowed; null for the block's own.</param>
    public Block Apply(Block block, int index, PositionTables? tables = null)
    {
        if (block.Spec.Prefix != old.Blocks[KeptBlocks[index]].Prefix)
        {
            throw new ArgumentException($"{block.Spec.Prefix} does not become block {index}");
        }
        using var _ = torch.no_grad();
        var reader = new CutReader(parameters, block.OwnParameters.Select(p => (p.Name, p.Value)));
        return new Block(Spec.Blocks[index], Spec.HiddenSize, reader, tables);
    }

    private void Check(ModelSpec spec)
    {
        if (!ReferenceEquals(spec, old) && spec.HiddenSize != old.HiddenSize | spec.Blocks.Length != old.Blocks.Length)
        {
            throw new ArgumentException("the removal was planned for another model");
        }
    }
}
