using Compress.Core.Evaluation;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using static TorchSharp.torch;

namespace Compress.Core.Pipeline;

/// <summary>Lets a method choose scales for a block's channels, and folds them into the block's tensors.</summary>
/// <param name="job">The stage.</param>
/// <param name="method">Chooses.</param>
/// <param name="compressor">Gives the sites as the method sees them.</param>
/// <param name="source">The checkpoint before the stage; takes the folded tensors.</param>
internal sealed class BlockScaling(StageJob job, IScalingMethod method, SiteCompressor compressor, FoldedTensors source)
{
    /// <summary>Scales one block.</summary>
    /// <param name="part">The block and the sites that the stage selects.</param>
    /// <param name="activations">The hidden states in front of it.</param>
    /// <param name="tables">Tables shared with other blocks.</param>
    /// <returns>Remarks for the sites, by name.</returns>
    public IReadOnlyDictionary<string, List<string>> Run(ModelPart part, Activations activations, PositionTables tables)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var spec = job.Model.Blocks[part.Block!.Value];
        var notes = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        using var streamed = new StreamedTensors(source);
        using var exact = Block.Load(streamed, spec, ScalarType.Float32, CPU, tables);
        var joints = ScaleJoint.Of(exact);
        var scales = Choose(part, spec, joints, activations, tables, notes);
        var changed = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (joint, chosen) in joints.Zip(scales))
        {
            if (chosen is null) continue;
            var folded = joint.Fold(chosen.cpu(), name => TensorBridge.ScalarTypeOf(source.Tensors[name].Type));
            if (folded.Count == 0) Note(notes, joint, "Not scaled: the norm would leave the range of its type.");
            changed.UnionWith(folded);
        }
        var weights = exact.Sites.Select(s => s.Spec.Weight.Tensor).ToHashSet(StringComparer.Ordinal);
        foreach (var (name, value) in exact.StoredTensors().Where(t => changed.Contains(t.Name)))
        {
            // A site's weight is compressed next, from f32; norms and biases are already what their type can hold.
            source.Replace(name, value, weights.Contains(name) ? ElementType.F32 : source.Tensors[name].Type);
        }
        return notes;
    }

    private List<Tensor?> Choose(ModelPart part, BlockSpec spec, IReadOnlyList<ScaleJoint> joints,
        Activations activations, PositionTables tables, Dictionary<string, List<string>> notes)
    {
        using var streamed = new StreamedTensors(source);
        using var trial = Block.Load(streamed, spec, job.Forward.Compute, job.Forward.Device, tables);
        var selected = part.Sites.ToDictionary(s => s.Shape.Name, StringComparer.Ordinal);
        var result = new List<Tensor?>();
        foreach (var joint in joints)
        {
            job.Cancellation.ThrowIfCancellationRequested();
            var ignored = joint.Sites.FirstOrDefault(s => !selected.ContainsKey(s.Name));
            var obstacle = joint.Obstacle ?? (ignored is null ? null : $"the stage leaves {ignored.Name} out, which would have to change with it.");
            if (obstacle is not null) Note(notes, joint, $"Not scaled: {obstacle}");
            result.Add(obstacle is null ? Choose(joint, selected, trial, activations, notes) : null);
        }
        return result;
    }

    private Tensor? Choose(ScaleJoint joint, Dictionary<string, SelectableSite> selected, Block trial, Activations activations,
        Dictionary<string, List<string>> notes)
    {
        using var scope = NewDisposeScope();
        List<LinearView> views = [.. joint.Readers.Select(r => compressor.View(selected[r.Name]))];
        List<LinearSite> readers = [.. joint.Readers.Select(r => trial.Sites.First(s => s.Name == r.Name))];
        // One input at a time: four passes cost less than the memory of four inputs.
        var inputs = new InputRecorder(joint.Readers[0].InputName);
        activations.Observe(trial, inputs, method.SearchWindows);
        using var input = inputs.Take();
        using var view = new ScaleView(views, input, joint.Heads, joint.Maker is null, (x, weights) =>
        {
            Set(readers, weights);
            return joint.Maker is not null ? readers[0].Forward(x) : readers[0].Role == SiteRole.Query ? trial.Attend(x) : trial.Feed(x);
        });
        var log = new SiteLog();
        var chosen = method.Scales(view, log);
        Set(readers, [.. views.Select(v => v.Weight)]);
        foreach (var note in log.Notes) Note(notes, joint, note);
        return chosen?.MoveToOuterDisposeScope();
    }

    private static void Set(IReadOnlyList<LinearSite> sites, IReadOnlyList<Tensor> weights)
    {
        foreach (var (site, weight) in sites.Zip(weights)) site.Weight = weight.to(site.Weight.dtype, copy: true);
    }

    private static void Note(Dictionary<string, List<string>> notes, ScaleJoint joint, string note)
    {
        foreach (var reader in joint.Readers)
        {
            if (!notes.TryGetValue(reader.Name, out var list)) notes.Add(reader.Name, list = []);
            list.Add(note);
        }
    }

    /// <summary>Keeps one input of a block.</summary>
    private sealed class InputRecorder(string name) : IInputObserver
    {
        private readonly List<Tensor> batches = [];

        public void OnInput(string inputName, Tensor x)
        {
            if (inputName == name) batches.Add(x.clone().DetachFromDisposeScope());
        }

        /// <summary>The input on all windows, owned.</summary>
        public Tensor Take()
        {
            var whole = batches is [var only] ? only : cat(batches).DetachFromDisposeScope();
            if (batches.Count > 1) batches.ForEach(b => b.Dispose());
            batches.Clear();
            return whole;
        }
    }
}
