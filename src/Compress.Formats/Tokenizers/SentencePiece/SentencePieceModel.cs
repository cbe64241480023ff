namespace Compress.Formats.Tokenizers.SentencePiece;

/// <summary>What a piece is (sentencepiece_model.proto, <c>SentencePiece.Type</c>).</summary>
enum PieceKind
{
    /// <summary>Ordinary text.</summary>
    Normal = 1,

    /// <summary>What unknown text becomes.</summary>
    Unknown = 2,

    /// <summary>A sign without text, such as the one that begins a sequence.</summary>
    Control = 3,

    /// <summary>Text that is always a piece of its own.</summary>
    UserDefined = 4,

    /// <summary>Kept for its number only.</summary>
    Unused = 5,

    /// <summary>One byte of text that is no piece.</summary>
    Byte = 6,
}

/// <summary>How a SentencePiece model cuts text (<c>TrainerSpec.ModelType</c>).</summary>
enum SegmentationKind
{
    /// <summary>Unigram language model.</summary>
    Unigram = 1,

    /// <summary>Byte-pair encoding.</summary>
    Bpe = 2,

    /// <summary>At spaces.</summary>
    Word = 3,

    /// <summary>Into characters.</summary>
    Character = 4,
}

/// <summary>One entry of the vocabulary.</summary>
readonly record struct ModelPiece(string Text, float Score, PieceKind Kind);

/// <summary>The content of a SentencePiece <c>.model</c> file (sentencepiece_model.proto, <c>ModelProto</c>).</summary>
sealed class SentencePieceModel
{
    internal List<ModelPiece> Pieces { get; } = [];

    internal SegmentationKind Segmentation { get; private set; } = SegmentationKind.Unigram;

    internal bool ByteFallback { get; private set; }

    internal bool SpaceAsSuffix { get; private set; }

    internal string UnknownSurface { get; private set; } = " \u2047 ";

    internal string BosPiece { get; private set; } = "<s>";

    internal string EosPiece { get; private set; } = "</s>";

    internal bool AddDummyPrefix { get; private set; } = true;

    internal bool RemoveExtraSpaces { get; private set; } = true;

    internal bool EscapeSpaces { get; private set; } = true;

    internal PrecompiledCharsMap? CharsMap { get; private set; }

    internal PrecompiledCharsMap? DecodingCharsMap { get; private set; }

    /// <summary>Reads a model.</summary>
    /// <exception cref="FormatException">The bytes are not a SentencePiece model, or a damaged one.</exception>
    internal static SentencePieceModel Parse(ReadOnlySpan<byte> bytes)
    {
        var model = new SentencePieceModel();
        var reader = new ProtobufReader(bytes);
        while (reader.Read())
        {
            switch (reader.Field)
            {
                case 1:
                    if (model.Pieces.Count >= Vocabulary.MaximumSize) throw new FormatException("the model has too many pieces");
                    model.Pieces.Add(ReadPiece(reader.Bytes));
                    break;
                case 2:
                    model.ReadTrainer(reader.Bytes);
                    break;
                case 3:
                    model.ReadNormalizer(reader.Bytes);
                    break;
                case 5:
                    model.DecodingCharsMap = ReadCharsMap(reader.Bytes);
                    break;
            }
        }
        model.Check();
        return model;
    }

    /// <summary>Makes a model of pieces that came another way.</summary>
    /// <exception cref="FormatException">The pieces make no model.</exception>
    internal static SentencePieceModel OfPieces(
        IEnumerable<ModelPiece> pieces, SegmentationKind segmentation, string? bos, string? eos, bool addDummyPrefix)
    {
        var model = new SentencePieceModel { Segmentation = segmentation, AddDummyPrefix = addDummyPrefix, RemoveExtraSpaces = false };
        model.Pieces.AddRange(pieces);
        (model.BosPiece, model.EosPiece) = (bos ?? "", eos ?? "");
        model.ByteFallback = model.Pieces.Any(p => p.Kind == PieceKind.Byte);
        model.Check();
        return model;
    }

    void Check()
    {
        if (Pieces.Count == 0) throw new FormatException("the model has no pieces");
        if (Pieces.Count(p => p.Kind == PieceKind.Unknown) != 1) throw new FormatException("the model must have exactly one unknown piece");
        foreach (var piece in Pieces)
        {
            if (piece.Text.Length == 0) throw new FormatException("the model has an empty piece");
            if (!float.IsFinite(piece.Score)) throw new FormatException($"the score of '{piece.Text}' is not a finite number");
            if (!Enum.IsDefined(piece.Kind)) throw new FormatException($"the piece '{piece.Text}' is of unknown kind {(int)piece.Kind}");
            if (piece.Kind == PieceKind.Byte && !ByteToken.TryParse(piece.Text, out _))
            {
                throw new FormatException($"the byte piece '{piece.Text}' does not name a byte");
            }
        }
        if (ByteFallback && Pieces.Where(p => p.Kind == PieceKind.Byte).Select(p => p.Text).Distinct().Count() != 256)
        {
            throw new FormatException("the model falls back to bytes but does not have a piece for each of the 256");
        }
        if (!Enum.IsDefined(Segmentation)) throw new FormatException($"the model is of unknown type {(int)Segmentation}");
    }

    static ModelPiece ReadPiece(ReadOnlySpan<byte> bytes)
    {
        var (text, score, kind) = ("", 0f, PieceKind.Normal);
        var reader = new ProtobufReader(bytes);
        while (reader.Read())
        {
            if (reader.Field == 1) text = reader.Text;
            else if (reader.Field == 2) score = reader.Single;
            else if (reader.Field == 3) kind = (PieceKind)reader.Integer;
        }
        return new ModelPiece(text, score, kind);
    }

    void ReadTrainer(ReadOnlySpan<byte> bytes)
    {
        var reader = new ProtobufReader(bytes);
        while (reader.Read())
        {
            if (reader.Field == 3) Segmentation = (SegmentationKind)reader.Integer;
            else if (reader.Field == 24) SpaceAsSuffix = reader.Boolean;
            else if (reader.Field == 35) ByteFallback = reader.Boolean;
            else if (reader.Field == 44) UnknownSurface = reader.Text;
            else if (reader.Field == 46) BosPiece = reader.Text;
            else if (reader.Field == 47) EosPiece = reader.Text;
        }
    }

    void ReadNormalizer(ReadOnlySpan<byte> bytes)
    {
        CharsMap = ReadCharsMap(bytes);
        var reader = new ProtobufReader(bytes);
        while (reader.Read())
        {
            if (reader.Field == 3) AddDummyPrefix = reader.Boolean;
            else if (reader.Field == 4) RemoveExtraSpaces = reader.Boolean;
            else if (reader.Field == 5) EscapeSpaces = reader.Boolean;
        }
    }

    static PrecompiledCharsMap? ReadCharsMap(ReadOnlySpan<byte> normalizer)
    {
        var reader = new ProtobufReader(normalizer);
        PrecompiledCharsMap? map = null;
        while (reader.Read())
        {
            if (reader.Field == 2 && !reader.Bytes.IsEmpty) map = new PrecompiledCharsMap(reader.Bytes);
        }
        return map;
    }
}
