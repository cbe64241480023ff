namespace Compress.Core.Graph;

/// <summary>What a linear site is for.</summary>
public enum SiteRole
{
    /// <summary><c>q_proj</c></summary>
    Query,

    /// <summary><c>k_proj</c></summary>
    Key,

    /// <summary><c>v_proj</c></summary>
    Value,

    /// <summary><c>o_proj</c></summary>
    Output,

    /// <summary><c>gate_proj</c></summary>
    Gate,

    /// <summary><c>up_proj</c>, <c>fc1</c></summary>
    Up,

    /// <summary><c>down_proj</c>, <c>fc2</c></summary>
    Down,

    /// <summary><c>lm_head</c></summary>
    Head,

    /// <summary>Token table.</summary>
    Embedding,
}
