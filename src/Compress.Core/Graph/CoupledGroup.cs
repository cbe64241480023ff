namespace Compress.Core.Graph;

/// <summary>What a coupled group is.</summary>
public enum GroupKind
{
    /// <summary>One MLP channel: a row of gate and up, a column of down.</summary>
    MlpChannel,

    /// <summary>One KV head with the query heads that share it: rows of q, k and v, columns of o.</summary>
    KeyValueHead,

    /// <summary>One dimension of the residual stream, through the whole model.</summary>
    HiddenDimension,

    /// <summary>The attention of a block.</summary>
    Attention,

    /// <summary>The MLP of a block.</summary>
    Mlp,

    /// <summary>A whole block.</summary>
    Block,
}

/// <summary>Slices of a model that can only go together: what structured pruners score and remove.</summary>
/// <param name="Kind">What the group is.</param>
/// <param name="Block">The block's index; 0 for a hidden dimension.</param>
/// <param name="Index">Channel, KV head or dimension; 0 where the kind needs none.</param>
public readonly record struct CoupledGroup(GroupKind Kind, int Block, int Index)
{
    /// <summary>An MLP channel.</summary>
    public static CoupledGroup MlpChannel(int block, int channel) => new(GroupKind.MlpChannel, block, channel);

    /// <summary>A KV head with its query heads.</summary>
    public static CoupledGroup KeyValueHead(int block, int head) => new(GroupKind.KeyValueHead, block, head);

    /// <summary>A dimension of the residual stream.</summary>
    public static CoupledGroup HiddenDimension(int dimension) => new(GroupKind.HiddenDimension, 0, dimension);

    /// <summary>A block's attention.</summary>
    public static CoupledGroup Attention(int block) => new(GroupKind.Attention, block, 0);

    /// <summary>A block's MLP.</summary>
    public static CoupledGroup Mlp(int block) => new(GroupKind.Mlp, block, 0);

    /// <summary>A block.</summary>
    public static CoupledGroup WholeBlock(int block) => new(GroupKind.Block, block, 0);
}

/// <summary>A run of rows or columns of one parameter.</summary>
/// <param name="Parameter">Name as in <see cref="ModelGraph.NamedParameters"/>.</param>
/// <param name="Dimension">0 for rows (and for vectors), 1 for columns.</param>
/// <param name="Start">First row or column.</param>
/// <param name="Count">Number of them.</param>
public readonly record struct GroupSlice(string Parameter, int Dimension, int Start, int Count);
