using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Gguf;
using Compress.Formats.Tokenizers;

namespace Compress.Runtime.Model;

/// <summary>A Hugging Face folder or a llama2.c file: f32, f16 and bf16 used where they are mapped; GPTQ, AWQ, compressed-tensors and Compress's own encodings laid out anew.</summary>
internal sealed class FolderWeights : IWeights
{
    private readonly ModelFolder folder;

    private FolderWeights(ModelFolder folder)
    {
        this.folder = folder;
        Spec = folder.Spec;
    }

    public ModelSpec Spec { get; }

    public bool InterleavedRotary => false;

    /// <summary>Opens a model.</summary>
    /// <exception cref="ModelFileException">The model is missing, damaged or not supported.</exception>
    public static FolderWeights Open(string path)
    {
        var folder = ModelFolder.Open(path);
        try { return new FolderWeights(folder); }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public Tokenizer LoadTokenizer() => folder.LoadTokenizer();

    public WeightMatrix Matrix(WeightPart part, int rows, int columns)
    {
        if (part is { Transposed: false, Rows: null } && folder.Tensors is DecodingTensorSource source && source.IsEncoded(part.Tensor))
            return WeightMatrix.Encoded(StoredType(source.Tensors[part.Tensor]), rows, columns, () => source.ReadEncoded(part.Tensor)!);
        var view = folder.Tensors.Open(part.Tensor);
        var type = StoredType(view.Info);
        if (part is { Transposed: false, Rows: null }) return WeightMatrix.Borrow(type, rows, columns, view.Address);
        var stored = view.Info.Shape[^1];
        var matrix = part.Transposed
            ? WeightMatrix.Gather(type, rows, columns, view.Address, (r, c) => c * stored + StoredRow(part.Rows, r))
            : WeightMatrix.Gather(type, rows, columns, view.Address, (r, c) => StoredRow(part.Rows, r) * stored + c);
        matrix.Encoding = (folder.Tensors as DecodingTensorSource)?.ReadEncoded(part.Tensor)?.Summary;
        return matrix;
    }

    public float[] Vector(WeightPart part, int length)
    {
        var view = folder.Tensors.Open(part.Tensor);
        var type = StoredType(view.Info);
        var whole = new float[view.Info.ElementCount];
        GgmlDecoder.Decode(type, view.Bytes(0, checked((int)view.Info.ByteCount)), whole);
        return part.Rows is null ? whole : [.. Enumerable.Range(0, length).Select(i => whole[StoredRow(part.Rows, i)])];
    }

    public void Dispose() => folder.Dispose();

    private static long StoredRow(RowPattern? rows, int r) => rows is null ? r : rows.Start + r / rows.Run * (long)rows.Stride + r % rows.Run;

    private GgmlType StoredType(TensorInfo info) => info.Type switch
    {
        ElementType.F32 => GgmlType.F32,
        ElementType.F16 => GgmlType.F16,
        ElementType.BF16 => GgmlType.BF16,
        _ => throw new ModelFileException(folder.Path, $"tensor {info.Name} is {info.Type}, which the engine does not run.", "It runs F32, F16 and BF16."),
    };
}
