namespace Compress.Formats.Checkpoints;

/// <summary>How one element of a stored tensor is encoded; the names are those of the safetensors format.</summary>
public enum ElementType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>Unsigned 8-bit integer.</summary>
    U8,

    /// <summary>Signed 8-bit integer.</summary>
    I8,

    /// <summary>4-bit float (E2M1), two to a byte.</summary>
    F4,

    /// <summary>6-bit float (E2M3).</summary>
    F6E2M3,

    /// <summary>6-bit float (E3M2).</summary>
    F6E3M2,

    /// <summary>8-bit float, 5 exponent bits, with infinities.</summary>
    F8E5M2,

    /// <summary>8-bit float, 4 exponent bits, no infinities; largest finite value 448.</summary>
    F8E4M3,

    /// <summary>8-bit float, 4 exponent bits (bias 8), one zero and one NaN; largest finite value 240.</summary>
    F8E4M3Fnuz,

    /// <summary>8-bit float, 5 exponent bits (bias 16), one zero and one NaN; largest finite value 57344.</summary>
    F8E5M2Fnuz,

    /// <summary>8-bit power of two (MX scales).</summary>
    F8E8M0,

    /// <summary>Signed 16-bit integer.</summary>
    I16,

    /// <summary>Unsigned 16-bit integer.</summary>
    U16,

    /// <summary>IEEE half.</summary>
    F16,

    /// <summary>bfloat16.</summary>
    BF16,

    /// <summary>Signed 32-bit integer.</summary>
    I32,

    /// <summary>Unsigned 32-bit integer.</summary>
    U32,

    /// <summary>IEEE single.</summary>
    F32,

    /// <summary>Complex of two IEEE singles.</summary>
    C64,

    /// <summary>IEEE double.</summary>
    F64,

    /// <summary>Signed 64-bit integer.</summary>
    I64,

    /// <summary>Unsigned 64-bit integer.</summary>
    U64,
}
