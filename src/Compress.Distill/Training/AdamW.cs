using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>AdamW over f32 master weights; the model may hold its weights in bf16.</summary>
/// <remarks>
/// Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2, in the form of torch.optim.AdamW. With gradient g, step t ≥ 1:
/// <c>w ← w·(1 − η·λ)</c> where the weight decays; <c>m ← β₁m + (1−β₁)g</c>; <c>v ← β₂v + (1−β₂)g²</c>;
/// <c>w ← w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)</c>. All weights lie in one flat vector, decayed ones first, so that a step is a
/// dozen passes over memory however many tensors there are. Gradients of several passes are summed in f32.
/// </remarks>
public sealed class AdamW : IDisposable
{
    readonly TrainableParameter[] parameters;
    readonly Tensor[] weightViews, gradientViews;
    readonly Tensor weights, gradients, firstMoment, secondMoment, scratch;
    readonly long decayed;
    readonly OptimizationRecipe options;

    /// <summary>Copies the parameters' values into f32 masters; moments begin at zero.</summary>
    public AdamW(IReadOnlyList<TrainableParameter> parameters, OptimizationRecipe options)
    {
        this.options = options;
        this.parameters = [.. parameters.Where(p => p.Decays), .. parameters.Where(p => !p.Decays)];
        decayed = this.parameters.Where(p => p.Decays).Sum(p => p.Value.numel());
        var count = this.parameters.Sum(p => p.Value.numel());
        var device = this.parameters[0].Value.device;
        using var guard = no_grad();
        weights = zeros(count, float32, device).DetachFromDisposeScope();
        gradients = zeros(count, float32, device).DetachFromDisposeScope();
        firstMoment = zeros(count, float32, device).DetachFromDisposeScope();
        secondMoment = zeros(count, float32, device).DetachFromDisposeScope();
        scratch = zeros(count, float32, device).DetachFromDisposeScope();
        weightViews = Views(weights);
        gradientViews = Views(gradients);
        for (var i = 0; i < weightViews.Length; i++) weightViews[i].copy_(this.parameters[i].Value);
    }

    /// <summary>Steps taken.</summary>
    public int Steps { get; private set; }

    /// <summary>Names and sizes in the order of the flat vectors: what a checkpoint must agree with.</summary>
    public string Layout => string.Join('\n', parameters.Select(p => $"{p.Name} {string.Join('x', p.Value.shape)}"));

    /// <summary>The flat state vectors, f32, borrowed: masters, first moment, second moment.</summary>
    public IReadOnlyList<(string Name, Tensor Value)> State =>
        [("weights", weights), ("first_moment", firstMoment), ("second_moment", secondMoment)];

    /// <summary>Adds the parameters' gradients to the f32 sum and clears them.</summary>
    public void CollectGradients()
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        for (var i = 0; i < parameters.Length; i++)
        {
            if (parameters[i].Value.grad is not { } gradient) continue;
            gradientViews[i].add_(gradient);
            gradient.zero_();
        }
    }

    /// <summary>Euclidean norm of the summed gradient.</summary>
    public double GradientNorm()
    {
        using var scope = NewDisposeScope();
        return gradients.norm().item<float>();
    }

    /// <summary>Forgets the summed gradient.</summary>
    public void ClearGradients() => gradients.zero_();

    /// <summary>Takes one step with the summed gradient, forgets it and writes the new weights into the model.</summary>
    /// <param name="learningRate">Learning rate η of this step.</param>
    /// <param name="gradientScale">Factor on the gradient (clipping).</param>
    public void Step(double learningRate, double gradientScale)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        Steps++;
        if (gradientScale != 1) gradients.mul_(gradientScale);
        if (decayed > 0 && options.WeightDecay > 0) weights.narrow(0, 0, decayed).mul_(1 - learningRate * options.WeightDecay);
        firstMoment.mul_(options.Beta1).add_(gradients, 1 - options.Beta1);
        secondMoment.mul_(options.Beta2).addcmul_(gradients, gradients, 1 - options.Beta2);
        var firstCorrection = 1 - Math.Pow(options.Beta1, Steps);
        var secondCorrection = 1 - Math.Pow(options.Beta2, Steps);
        scratch.copy_(secondMoment).sqrt_().div_(Math.Sqrt(secondCorrection)).add_(options.Epsilon);
        weights.addcdiv_(firstMoment, scratch, -learningRate / firstCorrection);
        gradients.zero_();
        WriteToModel();
    }

    /// <summary>Continues from saved state: the vectors of <see cref="State"/> have been overwritten.</summary>
    public void Restore(int steps)
    {
        Steps = steps;
        gradients.zero_();
        WriteToModel();
    }

    /// <summary>A parameter's f32 master, borrowed, in the parameter's shape.</summary>
    public Tensor Master(string name) => weightViews[Array.FindIndex(parameters, p => p.Name == name)];

    /// <summary>Frees masters and moments; the model's own tensors stay.</summary>
    public void Dispose()
    {
        foreach (var view in weightViews.Concat(gradientViews)) view.Dispose();
        foreach (var tensor in new[] { weights, gradients, firstMoment, secondMoment, scratch }) tensor.Dispose();
    }

    void WriteToModel()
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        for (var i = 0; i < parameters.Length; i++) parameters[i].Value.copy_(weightViews[i]);
    }

    Tensor[] Views(Tensor flat)
    {
        var views = new Tensor[parameters.Length];
        long at = 0;
        for (var i = 0; i < views.Length; i++)
        {
            var size = parameters[i].Value.numel();
            using var slice = flat.narrow(0, at, size);
            views[i] = slice.view(parameters[i].Value.shape).DetachFromDisposeScope();
            at += size;
        }
        return views;
    }
}
