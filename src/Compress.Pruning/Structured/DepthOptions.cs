using System.Globalization;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Formats.Architectures;

namespace Compress.Pruning.Structured;

/// <summary>Settings of methods that make a model shallower.</summary>
public abstract record DepthOptions
{
    /// <summary>How many blocks, or sublayers, to remove.</summary>
    [Between(1, 512)]
    public required int Remove { get; init; }

    /// <summary>What is removed: <c>block</c>, <c>attention</c> or <c>mlp</c>.</summary>
    public DepthUnit Unit { get; init; } = DepthUnit.Block;

    internal GroupKind Kind => Unit switch
    {
        DepthUnit.Attention => GroupKind.Attention,
        DepthUnit.Mlp => GroupKind.Mlp,
        _ => GroupKind.Block,
    };

    internal string? Unfit(ModelSpec model)
    {
        var most = CoupledGroups.Of(model, Kind).Count() - (Unit == DepthUnit.Block ? 1 : 0);
        return Remove <= most ? null
            : string.Create(CultureInfo.InvariantCulture, $"remove is {Remove}, but at most {most} can go from this model.");
    }
}

/// <summary>What a depth pruner removes.</summary>
public enum DepthUnit
{
    /// <summary>Whole blocks.</summary>
    Block,

    /// <summary>Attention sublayers.</summary>
    Attention,

    /// <summary>MLP sublayers.</summary>
    Mlp,
}
