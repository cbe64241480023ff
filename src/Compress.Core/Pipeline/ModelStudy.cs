using Compress.Core.Evaluation;
using Compress.Core.Graph;
using Compress.Core.Progress;
using Compress.Core.Statistics;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using static TorchSharp.torch;

namespace Compress.Core.Pipeline;

/// <summary>What a structured method may ask of a model before it chooses: statistics block by block, influences, losses.</summary>
/// <remarks>Blocks stream, so that memory is one block, its statistics and the activations. Nothing of the model is changed.</remarks>
public sealed class ModelStudy
{
    private readonly StageJob job;
    private readonly HashSet<string> selected;

    internal ModelStudy(StageJob job)
    {
        this.job = job;
        selected = SiteSelection.Select(job.Model, job.Stage).Select(s => s.Shape.Name).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>The model before the stage.</summary>
    public ModelSpec Model => job.Model;

    /// <summary>Groups of a kind all of whose linear sites the stage selects, in the order of blocks and indices.</summary>
    public IReadOnlyList<CoupledGroup> Candidates(GroupKind kind) => [.. CoupledGroups.Of(Model, kind).Where(IsSelected)];

    /// <summary>Whether the stage selects every linear site that a group touches.</summary>
    public bool IsSelected(CoupledGroup group) => Sites(Model.Blocks[group.Block], group.Kind).All(s => selected.Contains(s.Name));

    /// <summary>Blocks in order, each with statistics of its inputs. A block is gone when the next one comes.</summary>
    /// <param name="needs">What to gather; with nothing, no forward pass is made.</param>
    public IEnumerable<StudiedBlock> Blocks(Needs needs)
    {
        ArgumentNullException.ThrowIfNull(needs);
        using var tables = new PositionTables();
        using var activations = needs.Types.Count > 0 ? Embed() : null;
        for (var i = 0; i < Model.Blocks.Length; i++)
        {
            job.Cancellation.ThrowIfCancellationRequested();
            using var block = Load(Model.Blocks[i], tables);
            using var statistics = new StatisticsCollector(needs, block.Sites, job.Forward.Device);
            activations?.Observe(block, statistics);
            using var studied = new StudiedBlock(i, Model, job.Source, block, statistics);
            yield return studied;
            // A method that prunes as it goes shows the next blocks what its choice leaves.
            if (studied.Removed.Count > 0) CoupledGroups.Mask(Model, block, studied.Removed);
            activations?.Advance(block);
            Advance(i + 1, Model.Blocks[i].Prefix);
        }
    }

    /// <summary>How much each block, or each sublayer of a kind, turns the residual stream: <c>1 − E[cos(x, f(x))]</c> over all tokens.</summary>
    /// <remarks>Men et al. 2024, "ShortGPT", arXiv:2403.03853, section 3.1; sublayers with their residual: He et al. 2024, arXiv:2406.15786.</remarks>
    /// <param name="kind"><see cref="GroupKind.Block"/>, <see cref="GroupKind.Attention"/> or <see cref="GroupKind.Mlp"/>.</param>
    /// <returns>One value a block; NaN where the block has no such sublayer.</returns>
    public IReadOnlyList<double> Influences(GroupKind kind)
    {
        var result = new double[Model.Blocks.Length];
        using var tables = new PositionTables();
        using var activations = Embed();
        for (var i = 0; i < result.Length; i++)
        {
            job.Cancellation.ThrowIfCancellationRequested();
            var spec = Model.Blocks[i];
            using var block = Load(spec, tables);
            var without = kind == GroupKind.Block ? null : Without(spec, kind == GroupKind.Attention, kind == GroupKind.Mlp);
            using var rest = without is null ? null : Load(without, tables);
            var (sum, tokens) = (0.0, 0L);
            activations.ForEachBatch((_, batch) =>
            {
                // With the sublayers one after the other, attention reads the block's input, and the MLP what attention leaves.
                var after = block.Forward(batch);
                var (before, end) = (kind, rest) switch
                {
                    (GroupKind.Attention, { } mlp) => (mlp.Forward(batch), after),
                    (GroupKind.Mlp, { } attention) => (attention.Forward(batch), after),
                    _ => (batch, after),
                };
                sum += nn.functional.cosine_similarity(before.to(ScalarType.Float32), end.to(ScalarType.Float32), dim: -1).sum(ScalarType.Float64).item<double>();
                tokens += batch.shape[0] * batch.shape[1];
            });
            var absent = kind == GroupKind.Attention && spec.Attention is null || kind == GroupKind.Mlp && spec.Mlp is null;
            result[i] = absent ? double.NaN : 1 - sum / tokens;
            activations.Advance(block);
            Advance(i + 1, spec.Prefix);
        }
        return result;
    }

    /// <summary>Mean cross-entropy of next tokens on the calibration windows, in nats, with blocks or sublayers removed.</summary>
    /// <param name="removed">Groups of the kinds block, attention and MLP.</param>
    public double Loss(IReadOnlySet<CoupledGroup> removed)
    {
        ArgumentNullException.ThrowIfNull(removed);
        using var tables = new PositionTables();
        using var activations = Embed();
        for (var i = 0; i < Model.Blocks.Length; i++)
        {
            job.Cancellation.ThrowIfCancellationRequested();
            var whole = removed.Contains(CoupledGroup.WholeBlock(i));
            var spec = Without(Model.Blocks[i], whole || removed.Contains(CoupledGroup.Attention(i)), whole || removed.Contains(CoupledGroup.Mlp(i)));
            if (spec is null) continue;
            using var block = Load(spec, tables);
            activations.Advance(block);
        }
        using var streamed = new StreamedTensors(job.Source);
        using var head = Head.Load(streamed, Model, job.Forward.Compute, job.Forward.Device);
        var (sum, windows) = (0.0, 0L);
        activations.ForEachBatch((first, batch) =>
        {
            var (count, length) = ((int)batch.shape[0], batch.shape[1]);
            var ids = stack([.. job.Windows.Skip(first).Take(count).Select(w => tensor(w, ScalarType.Int64, job.Forward.Device))]);
            var loss = head.CrossEntropy(batch.narrow(1, 0, length - 1), ids.narrow(1, 1, length - 1));
            sum += loss.to(ScalarType.Float64).item<double>() * count;
            windows += count;
        });
        return sum / windows;
    }

    /// <summary>Tells the user how far a choice that takes several passes is.</summary>
    public void Report(string detail) => job.Progress.Report(new PhaseAdvanced(0, detail));

    private void Advance(int blocks, string detail) => job.Progress.Report(new PhaseAdvanced(blocks, detail));

    private Activations Embed() => Activations.Embed(job.Source, Model, job.Windows, job.Forward, job.Cancellation);

    private Block Load(BlockSpec spec, PositionTables tables)
    {
        using var source = new StreamedTensors(job.Source);
        return Block.Load(source, spec, job.Forward.Compute, job.Forward.Device, tables);
    }

    /// <summary>A block without some of its sublayers; null where none is left.</summary>
    private static BlockSpec? Without(BlockSpec spec, bool attention, bool mlp)
    {
        var rest = spec with
        {
            Attention = attention ? null : spec.Attention,
            Mlp = mlp ? null : spec.Mlp,
            AttentionOutputNorm = attention ? null : spec.AttentionOutputNorm,
            MlpOutputNorm = mlp ? null : spec.MlpOutputNorm,
        };
        return rest.Attention is null && rest.Mlp is null ? null : rest;
    }

    private static IEnumerable<LinearSpec> Sites(BlockSpec block, GroupKind kind) => SiteSelection.Linears(block)
        .Where(l => kind switch
        {
            GroupKind.MlpChannel or GroupKind.Mlp => l.Role is SiteRole.Gate or SiteRole.Up or SiteRole.Down,
            GroupKind.KeyValueHead or GroupKind.Attention => l.Role is not (SiteRole.Gate or SiteRole.Up or SiteRole.Down),
            _ => true,
        })
        .Select(l => l.Spec);
}

/// <summary>One block while a structured method looks at it.</summary>
public sealed class StudiedBlock : IDisposable
{
    private readonly ModelSpec model;
    private readonly ITensorSource source;
    private readonly Block block;
    private readonly StatisticsCollector statistics;

    internal StudiedBlock(int index, ModelSpec model, ITensorSource source, Block block, StatisticsCollector statistics)
    {
        Index = index;
        this.model = model;
        this.source = source;
        this.block = block;
        this.statistics = statistics;
    }

    /// <summary>The block's index.</summary>
    public int Index { get; }

    /// <summary>The block's description.</summary>
    public BlockSpec Spec => model.Blocks[Index];

    internal List<CoupledGroup> Removed { get; } = [];

    /// <summary>The stored weight of a site.</summary>
    /// <returns>f32 <c>[out, in]</c> on the CPU, in the current dispose scope.</returns>
    public Tensor Weight(SiteRole role)
    {
        var spec = SiteSelection.Linears(Spec).First(l => l.Role == role).Spec;
        return TensorBridge.Load(source, spec.Weight, spec.OutFeatures, spec.InFeatures, ScalarType.Float32, CPU);
    }

    /// <summary>What was gathered of a site's input; borrowed.</summary>
    /// <param name="role">The site.</param>
    public T Input<T>(SiteRole role) where T : Statistic =>
        new StatisticsSet(statistics.Of(block.Sites.First(s => s.Role == role).InputName)).Get<T>();

    /// <summary>Groups of this block that the method has chosen: the blocks behind it see the block without them.</summary>
    public void Remove(IEnumerable<CoupledGroup> groups) => Removed.AddRange(groups);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, spec) in SiteSelection.Linears(Spec)) source.Release(spec.Weight.Tensor);
    }
}
