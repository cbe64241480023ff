using Compress.Core.Graph;
using Compress.Core.Pipeline;
using Compress.Formats.Architectures;

namespace Compress.Core.Methods;

/// <summary>A method that removes coupled groups: channels, heads, sublayers, blocks. The result is a smaller model.</summary>
/// <remarks>A method chooses; the pipeline cuts, compensates, writes and checks.</remarks>
public interface IStructuredMethod : IMethod
{
    /// <summary>What makes good the removed inputs of output projections.</summary>
    Compensation Compensation => Compensation.None;

    /// <summary>Checks the options against a model before any weight is read.</summary>
    /// <returns>What does not fit, with the remedy; null where all is well.</returns>
    string? Unfit(ModelSpec model) => null;

    /// <summary>Chooses the groups to remove. The same study gives the same choice.</summary>
    /// <param name="study">The model and what calibration says of it.</param>
    IReadOnlyList<CoupledGroup> Choose(ModelStudy study);
}

/// <summary>What makes good the removed inputs of <c>o_proj</c> and <c>down_proj</c>.</summary>
public enum Compensation
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>
    /// A bias <c>W[:, P] · E[x_P]</c> for the removed inputs P, with means over the original model's inputs (An et al. 2024,
    /// arXiv:2312.11983, section 3.4).
    /// </summary>
    Bias,

    /// <summary>
    /// Weights and bias that reproduce the layer's output best from the remaining inputs, in the least-squares sense, on the inputs that the
    /// blocks cut before leave: <c>W' = W C[:, S] C[S, S]⁻¹</c> with the inputs' covariance C.
    /// </summary>
    LeastSquares,
}
